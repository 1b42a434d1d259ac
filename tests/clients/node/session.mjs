// What a device does with MQTT.js, in Node and in a browser: it connects, takes a command, publishes,
// and says goodbye, once in each version. `print` gets each step; the test waits for the lines.
export async function run({ mqtt, url, password, print, options = {} }) {
  for (const protocolVersion of [4, 5]) {
    const client = mqtt.connect(url, {
      protocolVersion,
      clientId: `web-${protocolVersion}`,
      username: "sensor01@app",
      password,
      reconnectPeriod: 0,
      ...options,
    });
    await new Promise((resolve, reject) => {
      client.once("connect", resolve);
      client.once("error", reject);
      client.once("close", () => reject(new Error("closed before CONNACK")));
    });
    const [granted] = await client.subscribeAsync("command/inbox//#", { qos: 1 });
    const command = new Promise((resolve) =>
      client.once("message", (topic, payload) => resolve(`${topic} ${payload}`)),
    );
    print(`subscribed ${protocolVersion} ${granted.qos}`);
    print(`command ${await command}`);
    // More than one WebSocket message of the server, and of the client, may hold.
    const large = JSON.stringify({ text: "x".repeat(50_000) });
    await Promise.all([
      client.publishAsync("small", "1", { qos: 1 }),
      client.publishAsync("large", large, { qos: 2 }),
      client.publishAsync("unasked", "0", { qos: 0 }),
    ]);
    await client.endAsync();
    print(`ended ${protocolVersion}`);
  }
}
