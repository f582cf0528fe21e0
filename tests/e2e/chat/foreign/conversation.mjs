// A conversation by the TypeScript SDK's client: over HTTP with an address, on stdio with a command.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { ElicitRequestSchema } from "@modelcontextprotocol/sdk/types.js";

const [where, ...args] = process.argv.slice(2);
const transport = where.startsWith("http")
  ? new StreamableHTTPClientTransport(new URL(where))
  : new StdioClientTransport({ command: where, args, env: process.env });
const client = new Client({ name: "typescript-tester", version: "1" }, { capabilities: { elicitation: {} } });
const asked = [];
client.setRequestHandler(ElicitRequestSchema, async (request) => {
  asked.push(request.params.message);
  return { action: "accept", content: { approved: true } };
});
await client.connect(transport);
const { tools } = await client.listTools(); // from here on the client checks every answer against its schema
const progress = [];
const call = (name, more) => client.callTool({ name, arguments: more }, undefined, { onprogress: (one) => progress.push(one) });
const found = await call("discover_functions", { project: "shop" });
const made = await call("hijack_function", { function: "price", strategy: "cache", options: { ttl: "30m" } });
const drawn = await call("create_performance_dashboard", {});
const audit = await client.readResource({ uri: "mystic://audit" });
const completed = await client.complete({ ref: { type: "ref/resource", uri: "mystic://source/{function}" }, argument: { name: "function", value: "pri" } });
const prompt = await client.getPrompt({ name: "find_what_to_optimise", arguments: { service: "shop" } });
console.log(JSON.stringify({
  tools: tools.map((one) => one.name),
  functions: found.structuredContent.functions.map((one) => one.function),
  made: { error: made.isError ?? false, text: made.content[0].text, owner: made.structuredContent?.hijack?.owner },
  asked,
  pictures: drawn.content.filter((one) => one.type === "image").map((one) => Buffer.from(one.data, "base64").subarray(1, 4).toString()),
  audit: audit.contents[0].mimeType,
  completed: completed.completion.values,
  prompt: prompt.messages.length,
}));
await client.close();
