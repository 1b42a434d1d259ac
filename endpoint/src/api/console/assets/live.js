// What is asked again and again while somebody looks.

/// Calls at once and then every so many milliseconds, one call after the other, until the signal. A
/// page that nobody sees asks nothing. Failures go to `failed`, and the next call is made all the
/// same.
export async function every(milliseconds, signal, act, failed = () => {}) {
  while (!signal.aborted) {
    try {
      if (!document.hidden) await act();
    } catch (error) {
      if (signal.aborted) return;
      failed(error);
    }
    await pause(milliseconds, signal);
  }
}

/// Waits; until the signal at most.
export function pause(milliseconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    const stop = () => (clearTimeout(timer), resolve());
    signal.addEventListener("abort", stop, { once: true });
    if (signal.aborted) stop();
  });
}
