// Connects with MQTT.js, publishes, takes a command, and says goodbye: `node device.mjs URL CA`.
//
// What happens is written line by line; the test waits for the lines.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const [url, ca] = process.argv.slice(2);
const require = createRequire(`${process.env.LANDFALL_TEST_NODE}/`);
const mqtt = require("mqtt");

for (const protocolVersion of [4, 5]) {
  const client = mqtt.connect(url, {
    protocolVersion,
    clientId: `node-${protocolVersion}`,
    username: "sensor01@app",
    password: process.env.SENSOR_PASSWORD,
    ca: ca ? readFileSync(ca) : undefined,
    reconnectPeriod: 0,
  });
  client.on("error", (error) => {
    console.log(`error ${error.message}`);
    process.exit(1);
  });
  await new Promise((resolve) => client.once("connect", resolve));
  const [granted] = await client.subscribeAsync("command/inbox//#", { qos: 1 });
  const command = new Promise((resolve) =>
    client.once("message", (topic, payload) => resolve(`${topic} ${payload}`)),
  );
  console.log(`subscribed ${protocolVersion} ${granted.qos}`);
  console.log(`command ${await command}`);
  // More than one WebSocket message of the server, and of the client, may hold.
  const large = JSON.stringify({ text: "x".repeat(50_000) });
  await Promise.all([
    client.publishAsync("small", "1", { qos: 1 }),
    client.publishAsync("large", large, { qos: 2 }),
    client.publishAsync("unasked", "0", { qos: 0 }),
  ]);
  await client.endAsync();
  console.log(`ended ${protocolVersion}`);
}
