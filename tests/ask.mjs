// Ask the models in Node: `node ask.mjs ENGINE DEMO CASES` prints an answer per case, as JSON.
import { readFileSync } from "node:fs";

const [engine, demo, cases] = process.argv.slice(2);
const { Evaluator, Gpt2, Tokenizer, lettersOf, readSafetensors } = await import(engine);
const read = (path) => readFileSync(`${demo}/${path}`);
const json = (path) => JSON.parse(read(path));
const tensors = (path) => {
  const bytes = read(path);
  return readSafetensors(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
};
const manifest = json("demo.json");
const began = performance.now();
const config = json("base/config.json");
const base = tensors("base/model.safetensors");
const adapter = { config: json("adapter/adapter_config.json"), tensors: tensors("adapter/adapter_model.safetensors") };
const tokenizer = new Tokenizer(json("base/tokenizer.json"));
const models = { base: new Gpt2(config, base), finetuned: new Gpt2(config, base, adapter) };
const ready = performance.now() - began;

const evaluators = new Map();
const evaluator = (model, prefix) => {
  const key = `${model}\n${prefix}`;
  if (!evaluators.has(key)) evaluators.set(key, new Evaluator(models[model], tokenizer, prefix, config.eos_token_id));
  return evaluators.get(key);
};
const times = {};
const answers = JSON.parse(readFileSync(cases)).map(({ model, kind, prefix, prompt, candidates, text }) => {
  if (text !== undefined) return { ids: tokenizer.encode(text), back: tokenizer.decode(tokenizer.encode(text)) };
  const asked = evaluator(model, prefix);
  const start = performance.now();
  let answer;
  if (candidates) answer = asked.choose(prompt, candidates);
  else {
    const writing = asked.write(prompt, manifest.most_tokens);
    let step;
    do step = writing.next(); while (!step.done);
    answer = { answer: lettersOf(step.value.text, manifest.most_letters), score: step.value.score };
  }
  (times[kind] ??= []).push(performance.now() - start);
  return answer;
});
const median = (list) => list.sort((a, b) => a - b)[list.length >> 1];
console.log(JSON.stringify({ ready, times: Object.fromEntries(Object.entries(times).map(([kind, list]) => [kind, median(list)])), answers }));
