/* A GPT-2 with a LoRA adapter, in plain JavaScript: it reads the safetensors that are published, and answers as
   src/experiment/decoding.py does. Runs in a web worker and in Node; knows nothing of pages, prompts or candidates. */

const HALF = (() => {
  // Every 16-bit float as a 32-bit one: reading half precision is then a look-up.
  const bits = new Uint32Array(65536);
  for (let h = 0; h < 65536; h++) {
    const sign = (h & 0x8000) << 16;
    let exponent = (h >> 10) & 31;
    let fraction = h & 1023;
    if (exponent === 31) bits[h] = sign | 0x7f800000 | (fraction << 13);
    else if (exponent) bits[h] = sign | ((exponent + 112) << 23) | (fraction << 13);
    else if (!fraction) bits[h] = sign;
    else {
      exponent = 113;
      while (!(fraction & 1024)) (fraction <<= 1), exponent--;
      bits[h] = sign | (exponent << 23) | ((fraction & 1023) << 13);
    }
  }
  return new Float32Array(bits.buffer);
})();

const WIDTH = { F32: 4, F16: 2, BF16: 2 };

/** Read a safetensors file (https://huggingface.co/docs/safetensors): name → { shape, data }, in single precision.
    @param {ArrayBuffer} buffer  @throws {Error} The file is cut off or not of this format. */
export function readSafetensors(buffer) {
  const bad = (why) => new Error(`This is no complete safetensors file: ${why}.`);
  if (buffer.byteLength < 8) throw bad("it has no header");
  const length = Number(new DataView(buffer).getBigUint64(0, true));
  const begin = 8 + length;
  if (begin > buffer.byteLength) throw bad("its header is cut off");
  let header;
  try {
    header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, length)));
  } catch {
    throw bad("its header cannot be read");
  }
  const tensors = new Map();
  for (const [name, { dtype, shape, data_offsets: offsets }] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    const width = WIDTH[dtype];
    if (!width) throw bad(`it holds numbers of type ${dtype}`);
    const [from, to] = offsets;
    const size = shape.reduce((product, n) => product * n, 1);
    if (begin + to > buffer.byteLength || to - from !== size * width) throw bad(`${name} is cut off`);
    const bytes = buffer.slice(begin + from, begin + to);
    let data;
    if (dtype === "F32") data = new Float32Array(bytes);
    else {
      const raw = new Uint16Array(bytes);
      data = new Float32Array(size);
      if (dtype === "F16") for (let i = 0; i < size; i++) data[i] = HALF[raw[i]];
      else {
        const bits = new Uint32Array(data.buffer);
        for (let i = 0; i < size; i++) bits[i] = raw[i] << 16;
      }
    }
    tensors.set(name, { shape, data });
  }
  return tensors;
}

/** Byte-level BPE (Sennrich et al. 2016, Radford et al. 2019), from a tokenizer.json. */
export class Tokenizer {
  /** @param {object} json The parsed tokenizer.json. */
  constructor(json) {
    const { model, pre_tokenizer: pre } = json;
    if (model?.type !== "BPE" || pre?.type !== "ByteLevel" || json.normalizer) {
      throw new Error("Only byte-level BPE without a normalizer is known here.");
    }
    this.ids = new Map(Object.entries(model.vocab));
    this.ranks = new Map(model.merges.map((pair, rank) => [Array.isArray(pair) ? pair.join(" ") : pair, rank]));
    this.wholeFirst = Boolean(model.ignore_merges);
    this.prefixSpace = Boolean(pre.add_prefix_space);
    this.words =
      pre.use_regex === false
        ? /[^]+/gu
        : /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;
    this.added = new Map((json.added_tokens || []).map((token) => [token.content, token.id]));
    this.special = new Set((json.added_tokens || []).filter((token) => token.special).map((token) => token.id));
    // Printable characters stand for themselves, all other bytes for characters from U+0100 on.
    this.characters = [];
    for (let byte = 0, next = 256; byte < 256; byte++) {
      const shown = (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);
      this.characters.push(String.fromCharCode(shown ? byte : next++));
    }
    this.bytes = new Map(this.characters.map((character, byte) => [character, byte]));
    this.texts = [];
    for (const [text, id] of this.ids) this.texts[id] = text;
    this.known = new Map();
  }

  /** Cut a text into the ids of its tokens. */
  encode(text) {
    const ids = [];
    let rest = text.isWellFormed?.() === false ? text.toWellFormed() : text;
    while (rest) {
      // Tokens that were added, such as the end of the text, are found before anything is cut.
      let at = rest.length;
      let found = null;
      for (const content of this.added.keys()) {
        const place = rest.indexOf(content);
        if (place >= 0 && place < at) (at = place), (found = content);
      }
      const piece = rest.slice(0, at);
      if (piece) {
        const spaced = this.prefixSpace && !/^\s/.test(piece) ? ` ${piece}` : piece;
        for (const [word] of spaced.matchAll(this.words)) ids.push(...this.#word(word));
      }
      if (found !== null) ids.push(this.added.get(found));
      rest = rest.slice(at + (found === null ? 0 : found.length));
    }
    return ids;
  }

  #word(word) {
    const before = this.known.get(word);
    if (before) return before;
    const text = Array.from(new TextEncoder().encode(word), (byte) => this.characters[byte]).join("");
    let parts = this.wholeFirst && this.ids.has(text) ? [text] : Array.from(text);
    for (;;) {
      let best = Infinity;
      let at = -1;
      for (let i = 0; i + 1 < parts.length; i++) {
        const rank = this.ranks.get(`${parts[i]} ${parts[i + 1]}`);
        if (rank !== undefined && rank < best) (best = rank), (at = i);
      }
      if (at < 0) break;
      parts.splice(at, 2, parts[at] + parts[at + 1]);
    }
    const ids = parts.filter((part) => this.ids.has(part)).map((part) => this.ids.get(part));
    if (this.known.size < 5000) this.known.set(word, ids);
    return ids;
  }

  /** Put the texts of tokens together again; special tokens are left out. */
  decode(ids) {
    const bytes = [];
    for (const id of ids) {
      if (this.special.has(id)) continue;
      for (const character of this.texts[id] || "") {
        const byte = this.bytes.get(character);
        if (byte !== undefined) bytes.push(byte);
      }
    }
    return new TextDecoder().decode(new Uint8Array(bytes));
  }

  /** Return the text of each token of a text; a token that holds but a part of a character is written as its bytes. */
  pieces(text) {
    return this.encode(text).map((id) => {
      const shown = this.decode([id]);
      if (this.special.has(id) || !shown.includes("\ufffd")) return shown || this.texts[id];
      return Array.from(this.texts[id], (c) => this.bytes.get(c).toString(16).toUpperCase().padStart(2, "0")).join(" ");
    });
  }
}

/** A matrix of which four outputs are adjacent, so that a product reads it from front to back.
    @param {Float32Array} data [inputs, outputs], as Conv1D keeps it; or [outputs, inputs] if `rows`. */
function pack(data, inputs, outputs, rows = false) {
  const packed = new Float32Array(Math.ceil(outputs / 4) * 4 * inputs);
  for (let o = 0; o < outputs; o++) {
    let at = (o >> 2) * 4 * inputs + (o & 3);
    if (rows) for (let i = 0; i < inputs; i++, at += 4) packed[at] = data[o * inputs + i];
    else for (let i = 0; i < inputs; i++, at += 4) packed[at] = data[i * outputs + o];
  }
  return packed;
}

/** y[t, o] = Σ_i x[t, i] · w[i, o] + b[o]: two rows by four columns at a time, so that what is read is used more than once. */
function linear(x, rows, packed, bias, inputs, outputs, y) {
  for (let o = 0; o < outputs; o += 4) {
    const begin = o * inputs;
    for (let t = 0; t < rows; t += 2) {
      const last = t + 1 === rows;
      const x0 = t * inputs, x1 = last ? x0 : x0 + inputs;
      let a0 = 0, a1 = 0, a2 = 0, a3 = 0, b0 = 0, b1 = 0, b2 = 0, b3 = 0;
      if (last) {
        for (let i = 0, k = begin; i < inputs; i++, k += 4) {
          const p = x[x0 + i];
          a0 += p * packed[k]; a1 += p * packed[k + 1]; a2 += p * packed[k + 2]; a3 += p * packed[k + 3];
        }
      } else {
        for (let i = 0, k = begin; i < inputs; i++, k += 4) {
          const p = x[x0 + i], q = x[x1 + i];
          const w0 = packed[k], w1 = packed[k + 1], w2 = packed[k + 2], w3 = packed[k + 3];
          a0 += p * w0; a1 += p * w1; a2 += p * w2; a3 += p * w3;
          b0 += q * w0; b1 += q * w1; b2 += q * w2; b3 += q * w3;
        }
      }
      const sums = last ? [a0, a1, a2, a3] : [a0, a1, a2, a3, b0, b1, b2, b3];
      for (let n = 0; n < sums.length; n++) {
        const column = o + (n & 3);
        if (column < outputs) y[(t + (n >> 2)) * outputs + column] = sums[n] + (bias ? bias[column] : 0);
      }
    }
  }
}

function layerNorm(x, rows, width, { weight, bias }, epsilon, y) {
  for (let t = 0; t < rows; t++) {
    const at = t * width;
    let mean = 0;
    for (let i = 0; i < width; i++) mean += x[at + i];
    mean /= width;
    let variance = 0;
    for (let i = 0; i < width; i++) variance += (x[at + i] - mean) ** 2;
    const scale = 1 / Math.sqrt(variance / width + epsilon);
    for (let i = 0; i < width; i++) y[at + i] = (x[at + i] - mean) * scale * weight[i] + bias[i];
  }
}

/** What a model has read so far: keys and values per layer. Cutting `length` back forgets what came after. */
export class Memory {
  constructor(layers, context, width) {
    this.length = 0;
    this.keys = Array.from({ length: layers }, () => new Float32Array(context * width));
    this.values = Array.from({ length: layers }, () => new Float32Array(context * width));
  }
}

/** The GPT-2 architecture (Radford et al. 2019) with a cache of keys and values. */
export class Gpt2 {
  /** @param {object} config The parsed config.json.
      @param {Map} tensors What `readSafetensors` gave for model.safetensors.
      @param {{config: object, tensors: Map}} [adapter] A LoRA adapter (Hu et al. 2022), which is merged into the weights. */
  constructor(config, tensors, adapter) {
    this.width = config.n_embd;
    this.heads = config.n_head;
    this.context = config.n_positions;
    this.epsilon = config.layer_norm_epsilon;
    const stem = tensors.has("transformer.wte.weight") ? "transformer." : "";
    const get = (name) => {
      const found = tensors.get(stem + name);
      if (!found) throw new Error(`The weights lack ${name}.`);
      return found.data;
    };
    const merged = adapter ? lora(adapter) : (name, data) => data;
    const dense = (name) => {
      const data = get(`${name}.weight`);
      const [inputs, outputs] = tensors.get(`${stem}${name}.weight`).shape;
      const weight = pack(merged(`transformer.${name}`, data, inputs, outputs), inputs, outputs);
      return { weight, bias: get(`${name}.bias`), inputs, outputs };
    };
    const norm = (name) => ({ weight: get(`${name}.weight`), bias: get(`${name}.bias`) });
    this.tokens = get("wte.weight");
    this.places = get("wpe.weight");
    this.vocabulary = this.tokens.length / this.width;
    this.head = pack(tensors.get("lm_head.weight")?.data || this.tokens, this.width, this.vocabulary, true);
    this.layers = Array.from({ length: config.n_layer }, (_, i) => ({
      first: norm(`h.${i}.ln_1`),
      attention: dense(`h.${i}.attn.c_attn`),
      out: dense(`h.${i}.attn.c_proj`),
      second: norm(`h.${i}.ln_2`),
      up: dense(`h.${i}.mlp.c_fc`),
      down: dense(`h.${i}.mlp.c_proj`),
    }));
    this.last = norm("ln_f");
  }

  memory() {
    return new Memory(this.layers.length, this.context, this.width);
  }

  /** Read tokens after what the memory holds.
      @returns {Float64Array[]} Log-probabilities of the next token after each of the last `keep` tokens. */
  read(ids, memory, keep) {
    const { width } = this;
    const rows = ids.length;
    if (memory.length + rows > this.context) throw new RangeError("That is longer than the model's context.");
    const x = new Float32Array(rows * width);
    for (let t = 0; t < rows; t++) {
      const token = ids[t] * width;
      const place = (memory.length + t) * width;
      for (let i = 0; i < width; i++) x[t * width + i] = this.tokens[token + i] + this.places[place + i];
    }
    const normed = new Float32Array(rows * width);
    const mixed = new Float32Array(rows * width);
    const added = new Float32Array(rows * width);
    const three = new Float32Array(rows * 3 * width);
    const wide = new Float32Array(rows * this.layers[0].up.outputs);
    const dense = (from, layer, to) => linear(from, rows, layer.weight, layer.bias, layer.inputs, layer.outputs, to);
    this.layers.forEach((layer, index) => {
      layerNorm(x, rows, width, layer.first, this.epsilon, normed);
      dense(normed, layer.attention, three);
      this.#attend(three, rows, memory, index, mixed);
      dense(mixed, layer.out, added);
      for (let i = 0; i < x.length; i++) x[i] += added[i];
      layerNorm(x, rows, width, layer.second, this.epsilon, normed);
      dense(normed, layer.up, wide);
      for (let i = 0; i < wide.length; i++) {
        const v = wide[i];
        wide[i] = 0.5 * v * (1 + Math.tanh(0.7978845608028654 * (v + 0.044715 * v * v * v)));
      }
      dense(wide, layer.down, added);
      for (let i = 0; i < x.length; i++) x[i] += added[i];
    });
    memory.length += rows;
    const tail = x.subarray((rows - keep) * width);
    layerNorm(tail, keep, width, this.last, this.epsilon, normed);
    const logits = new Float32Array(keep * this.vocabulary);
    linear(normed, keep, this.head, null, width, this.vocabulary, logits);
    return Array.from({ length: keep }, (_, t) => logSoftmax(logits.subarray(t * this.vocabulary, (t + 1) * this.vocabulary)));
  }

  #attend(three, rows, memory, index, mixed) {
    const { width, heads } = this;
    const size = width / heads;
    const scale = 1 / Math.sqrt(size);
    const keys = memory.keys[index];
    const values = memory.values[index];
    for (let t = 0; t < rows; t++) {
      const at = t * 3 * width;
      keys.set(three.subarray(at + width, at + 2 * width), (memory.length + t) * width);
      values.set(three.subarray(at + 2 * width, at + 3 * width), (memory.length + t) * width);
    }
    const weights = new Float64Array(memory.length + rows);
    for (let t = 0; t < rows; t++) {
      const seen = memory.length + t + 1;
      for (let h = 0; h < heads; h++) {
        const query = t * 3 * width + h * size;
        let highest = -Infinity;
        for (let s = 0; s < seen; s++) {
          const key = s * width + h * size;
          let dot = 0;
          for (let i = 0; i < size; i++) dot += three[query + i] * keys[key + i];
          weights[s] = dot * scale;
          if (weights[s] > highest) highest = weights[s];
        }
        let sum = 0;
        for (let s = 0; s < seen; s++) sum += weights[s] = Math.exp(weights[s] - highest);
        const out = t * width + h * size;
        mixed.fill(0, out, out + size);
        for (let s = 0; s < seen; s++) {
          const weight = weights[s] / sum;
          const value = s * width + h * size;
          for (let i = 0; i < size; i++) mixed[out + i] += weight * values[value + i];
        }
      }
    }
  }
}

function logSoftmax(logits) {
  let highest = -Infinity;
  for (const value of logits) if (value > highest) highest = value;
  let sum = 0;
  for (let i = 0; i < logits.length; i++) sum += Math.exp(logits[i] - highest);
  const total = highest + Math.log(sum);
  return Float64Array.from(logits, (value) => value - total);
}

/** Return a function that gives a layer's weight ([inputs, outputs]) with an adapter's B·A, scaled, added to it. */
function lora({ config, tensors }) {
  const scale = config.lora_alpha / (config.use_rslora ? Math.sqrt(config.r) : config.r);
  return (name, data, inputs, outputs) => {
    const down = tensors.get(`base_model.model.${name}.lora_A.weight`);
    const up = tensors.get(`base_model.model.${name}.lora_B.weight`);
    if (!down || !up) return data;
    const rank = down.shape[0];
    const turned = new Float32Array(inputs * rank);
    for (let r = 0; r < rank; r++) for (let i = 0; i < inputs; i++) turned[i * rank + r] = down.data[r * inputs + i];
    const merged = new Float32Array(data.length);
    linear(turned, inputs, pack(up.data, rank, outputs, true), null, rank, outputs, merged);
    for (let i = 0; i < data.length; i++) merged[i] = data[i] + scale * merged[i];
    return merged;
  };
}

/** A model and its tokenizer, which answers questions after a shared prefix that it reads once. */
export class Evaluator {
  constructor(model, tokenizer, prefix, end) {
    Object.assign(this, { model, tokenizer, end });
    this.memory = model.memory();
    const ids = tokenizer.encode(prefix);
    model.read(ids.length ? ids : [end], this.memory, 0);
    this.prefix = this.memory.length;
  }

  #room(tokens, answer) {
    const longest = this.prefix + tokens + answer;
    if (longest > this.model.context) {
      throw new RangeError(`That makes ${longest} tokens; the model reads at most ${this.model.context}.`);
    }
  }

  /** Score each candidate, written after a space, by the sum of its tokens' log-probabilities.
      @returns {{answer: string, scores: number[]}} The most likely candidate, and all scores in nats. */
  choose(prompt, candidates) {
    const options = candidates.map((candidate) => this.tokenizer.encode(` ${candidate}`));
    const ids = this.tokenizer.encode(prompt);
    this.#room(ids.length, Math.max(...options.map((option) => option.length)));
    const beginnings = new Map(options.map((option) => [option.slice(0, -1).join(), option.slice(0, -1)]));
    // One pass gives the probabilities after a beginning and after each shorter one that it starts with.
    const passes = [...beginnings].filter(([key]) =>
      [...beginnings.keys()].every((other) => other === key || !(key === "" ? other : other.startsWith(`${key},`))),
    );
    const after = new Map();
    let before = ids;
    for (const [, beginning] of passes) {
      this.memory.length = this.prefix + ids.length - before.length;
      const likely = this.model.read([...before, ...beginning], this.memory, beginning.length + (before.length ? 1 : 0));
      if (before.length) after.set("", likely.shift());
      likely.forEach((row, n) => after.set(beginning.slice(0, n + 1).join(), row));
      before = [];
    }
    this.memory.length = this.prefix;
    const scores = options.map((option) =>
      option.reduce((sum, token, n) => sum + after.get(option.slice(0, n).join())[token], 0),
    );
    return { answer: candidates[scores.indexOf(Math.max(...scores))], scores };
  }

  /** Write greedily up to a line break, the end of the text or `most` tokens.
      @returns {Generator<string, {text: string, score: number}>} Yields the text so far after each token. */
  *write(prompt, most) {
    const stop = new Set([this.end, ...this.tokenizer.encode("\n")]);
    let ids = this.tokenizer.encode(prompt);
    this.#room(ids.length, most);
    this.memory.length = this.prefix;
    const written = [];
    let score = 0;
    while (written.length < most) {
      const [likely] = this.model.read(ids, this.memory, 1);
      let best = 0;
      for (let i = 1; i < likely.length; i++) if (likely[i] > likely[best]) best = i;
      score += likely[best];
      written.push(best);
      if (stop.has(best)) break;
      ids = [best];
      yield this.tokenizer.decode(written);
    }
    this.memory.length = this.prefix;
    return { text: this.tokenizer.decode(written), score };
  }
}

/** Read a spelled word out of generated text, as src/experiment/evaluate.py does: the letters a-z of its first line. */
export function lettersOf(generated, most) {
  const line = generated.replace(/^\n+/, "").split("\n", 1)[0];
  return line.toLowerCase().replace(/[^a-z]/g, "").slice(0, most);
}
