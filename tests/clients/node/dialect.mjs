// MQTT.js with the names and topics of a dialect: `node dialect.mjs SETTINGS`, which are JSON. It
// publishes once, subscribes, takes one command, and says goodbye.
import { createRequire } from "node:module";

const { url, version, clientId, username, topic, filter } = JSON.parse(process.argv[2]);
const require = createRequire(`${process.env.LANDFALL_TEST_NODE}/`);
const mqtt = require("mqtt");
try {
  const client = mqtt.connect(url, {
    protocolVersion: version,
    clientId,
    username,
    password: process.env.SENSOR_PASSWORD,
    reconnectPeriod: 0,
  });
  await new Promise((resolve, reject) => {
    client.once("connect", resolve);
    client.once("error", reject);
    client.once("close", () => reject(new Error("closed before CONNACK")));
  });
  await client.publishAsync(topic, '{"n":1}', { qos: 1 });
  const command = new Promise((resolve) =>
    client.once("message", (from, payload) => resolve(`${from} ${payload}`)),
  );
  const [granted] = await client.subscribeAsync(filter, { qos: 1 });
  console.log(`subscribed ${granted.qos}`);
  console.log(`command ${await command}`);
  await client.endAsync();
} catch (error) {
  console.log(`error ${error.message}`);
  process.exit(1);
}
