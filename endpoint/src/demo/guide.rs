//! What the demo prints: what happened, and what to type next. Every line can be copied as it is.

use std::path::Path;

use serde_json::Value;

use super::{APPLICATION, CHANNEL, DEVICE, Options, PASSWORD, PAYLOAD, Places, pki, seed, token};

/// Where the command line's client looks unless told otherwise.
const DEFAULT_URL: &str = "http://127.0.0.1:8080";

pub(super) fn text(options: &Options, places: &Places, event: &Value) -> String {
    let Places {
        mqtt,
        tls,
        ws,
        wss,
        api,
        ops,
    } = places;
    let (host, port) = (mqtt.ip(), mqtt.port());
    let url = format!("http://{api}");
    let token_file = quoted(&options.data_dir.join(token::FILE));
    let data_dir = options.data_dir.display();
    let program = quoted(Path::new(
        &std::env::args_os()
            .next()
            .unwrap_or_else(|| "landfall".into()),
    ));
    let export_url = match url.as_str() {
        DEFAULT_URL => String::new(),
        url => format!("  export LANDFALL_URL={url}\n"),
    };
    let mosquitto = |tool: &str, device: &str, password: &str| {
        format!("{tool} -h {host} -p {port} -u {device}@{APPLICATION} -P {password}")
    };
    let subscribe = mosquitto("mosquitto_sub", DEVICE, PASSWORD);
    let publish = mosquitto("mosquitto_pub", DEVICE, PASSWORD);
    let file = |name: &str| quoted(&options.data_dir.join(name));
    let (ca, psk) = (file(pki::CA), file(seed::PSK_FILE));
    let (certificate, key) = (file(pki::DEVICE_CERTIFICATE), file(pki::DEVICE_KEY));
    let secure = format!("mosquitto_pub -h {} -p {}", tls.ip(), tls.port());
    let log_in = format!("-u {DEVICE}@{APPLICATION} -P {PASSWORD}");
    let (ws_port, wss_port) = (ws.port(), wss.port());
    let gateway = mosquitto("mosquitto_pub", "gateway01", "gateway01-secret");
    format!(
        "\
Landfall is running.

  MQTT      {mqtt}, over TLS {tls}
  WebSocket ws://{ws}/mqtt, over TLS wss://{wss}/mqtt
  HTTP API  {url}   (the token is in {token_file})
  console   {url}/  in a browser; it asks for that token
  ops       http://{ops}/health/ready and http://{ops}/metrics
  files     {data_dir}

Just now the device {DEVICE} connected, published {PAYLOAD} to `{CHANNEL}`, and was told that it
is stored. This is the event:

{event:#}

Try it. In one terminal, the device waits for commands:

  {subscribe} -q 1 -v -t 'command/inbox/#'

In another one, the device publishes, and a gateway publishes for a device behind it:

  {publish} -q 1 -t {CHANNEL} -m '{{\"temp\":22.5}}'
  {gateway} -q 1 -t {CHANNEL}/sensor02 -m '{{\"temp\":19}}'

Over TLS it is the same with the demo's own CA; the device shows its password, its certificate, or,
as psk01, a pre-shared key:

  {secure} --cafile {ca} {log_in} -q 1 -t {CHANNEL} -m '{{\"temp\":23}}'
  {secure} --cafile {ca} --cert {certificate} --key {key} -q 1 -t {CHANNEL} -m '{{\"temp\":23.5}}'
  {secure} --psk-identity psk01@{APPLICATION} --psk $(cat {psk}) -q 1 -t {CHANNEL} -m '{{\"temp\":24}}'

In WebSocket, by the command line of MQTT.js (mosquitto_pub has WebSocket from 2.1 on: --ws):

  npx mqtt pub -C ws -h {host} -p {ws_port} --path /mqtt {log_in} -q 1 -t {CHANNEL} -m '{{\"temp\":24.5}}'
  npx mqtt pub -C wss -h {host} -p {wss_port} --path /mqtt --ca {ca} {log_in} -q 1 -t {CHANNEL} -m '{{\"temp\":25}}'

There, too, the application reads the events and sends the device a command:

  export LANDFALL_TOKEN=$(cat {token_file})
{export_url}  curl -H \"Authorization: Bearer $LANDFALL_TOKEN\" {url}/api/events/v1alpha1/apps/{APPLICATION}
  curl -H \"Authorization: Bearer $LANDFALL_TOKEN\" -H 'Content-Type: application/json' -d '{{\"target\":23}}' '{url}/api/command/v1alpha1/apps/{APPLICATION}/devices/{DEVICE}?command=set-temp'

The same with this program:

  {program} events {APPLICATION} --follow
  {program} command {APPLICATION} {DEVICE} set-temp --payload '{{\"target\":24}}'
  {program} get devices {APPLICATION}

Ctrl-C ends the demo. Its files stay, and the next demo goes on with them.
"
    )
}

/// The path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._/".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_quoted_where_a_shell_needs_it() {
        assert_eq!(
            quoted(Path::new("./landfall-demo/token")),
            "./landfall-demo/token"
        );
        assert_eq!(quoted(Path::new("my demo/it's")), r"'my demo/it'\''s'");
    }
}
