// MQTT.js in Node: `node device.mjs URL CA`.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { run } from "./session.mjs";

const [url, ca] = process.argv.slice(2);
const require = createRequire(`${process.env.LANDFALL_TEST_NODE}/`);
try {
  await run({
    mqtt: require("mqtt"),
    url,
    password: process.env.SENSOR_PASSWORD,
    print: (line) => console.log(line),
    options: { ca: ca ? readFileSync(ca) : undefined },
  });
} catch (error) {
  console.log(`error ${error.message}`);
  process.exit(1);
}
