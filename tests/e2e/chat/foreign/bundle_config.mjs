// What a client that installs the bundle starts: the official package's own answer, for what a person has filled in.
import { getMcpConfigForManifest } from "@anthropic-ai/mcpb";
import { readFileSync } from "node:fs";

const [extensionPath, userConfig] = process.argv.slice(2);
const manifest = JSON.parse(readFileSync(`${extensionPath}/manifest.json`, "utf8"));
const systemDirs = { HOME: process.env.HOME };
const config = await getMcpConfigForManifest({ manifest, extensionPath, systemDirs, userConfig: JSON.parse(userConfig), pathSeparator: "/" });
console.log(JSON.stringify(config));
