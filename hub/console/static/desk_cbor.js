// Deterministic CBOR as protocol/cbor.py has it: integers, byte strings, texts, arrays, maps with small keys, booleans.

// Value -> bytes. A map is a Map, or an object whose keys are integers from 0 on, which JavaScript keeps in order.
export function encode(value) {
  const out = [];
  write(value, out);
  return Uint8Array.from(out);
}

// Bytes -> value; maps become Maps. Throws where the bytes are something else, or go on after it.
export function decode(bytes) {
  const reader = { bytes, at: 0, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength) };
  const value = read(reader);
  if (reader.at !== bytes.length) throw new Error("bytes after the end");
  return value;
}

function write(value, out) {
  if (value === true || value === false) out.push(value ? 0xf5 : 0xf4);
  else if (Number.isSafeInteger(value) && value >= 0) head(0, value, out);
  else if (typeof value === "string") {
    const text = new TextEncoder().encode(value);
    head(3, text.length, out);
    out.push(...text);
  } else if (value instanceof Uint8Array) {
    head(2, value.length, out);
    out.push(...value);
  } else if (Array.isArray(value)) {
    head(4, value.length, out);
    for (const item of value) write(item, out);
  } else {
    const entries = Object.entries(value);
    head(5, entries.length, out);
    for (const [key, item] of entries) {
      write(Number(key), out);
      write(item, out);
    }
  }
}

function head(kind, size, out) {
  const first = kind << 5;
  if (size < 24) out.push(first | size);
  else if (size < 2 ** 8) out.push(first | 24, size);
  else if (size < 2 ** 16) out.push(first | 25, size >> 8, size & 255);
  else {
    const big = new DataView(new ArrayBuffer(8));
    big.setBigUint64(0, BigInt(size));
    const from = size < 2 ** 32 ? 4 : 0;
    out.push(first | (from ? 26 : 27), ...new Uint8Array(big.buffer, from));
  }
}

function read(reader) {
  const first = byte(reader);
  const kind = first >> 5;
  if (kind === 7) {
    if (first === 0xf4 || first === 0xf5) return first === 0xf5;
    throw new Error("a simple value");
  }
  const size = length(reader, first & 31);
  if (kind === 0) return size;
  if (kind === 1) return -1 - size;
  if (kind === 2) return take(reader, size);
  if (kind === 3) return new TextDecoder("utf-8", { fatal: true }).decode(take(reader, size));
  if (kind === 4) return Array.from({ length: bounded(reader, size) }, () => read(reader));
  if (kind === 5) {
    const map = new Map();
    for (let left = bounded(reader, size); left > 0; left -= 1) {
      const key = read(reader);
      if (map.has(key)) throw new Error("a key twice");
      map.set(key, read(reader));
    }
    return map;
  }
  if (kind === 6 && reader.at === 1) return read(reader); // the tag around the whole, which COSE has
  throw new Error("a tag");
}

function length(reader, short) {
  if (short < 24) return short;
  const bytes = { 24: 1, 25: 2, 26: 4, 27: 8 }[short];
  if (!bytes) throw new Error("an indefinite length");
  take(reader, bytes);
  const at = reader.at - bytes;
  if (bytes === 1) return reader.view.getUint8(at);
  if (bytes === 2) return reader.view.getUint16(at);
  if (bytes === 4) return reader.view.getUint32(at);
  const size = Number(reader.view.getBigUint64(at));
  if (!Number.isSafeInteger(size)) throw new Error("too large");
  return size;
}

// An item takes at least a byte, so no list is longer than what is left.
function bounded(reader, size) {
  if (size > reader.bytes.length - reader.at) throw new Error("cut short");
  return size;
}

function byte(reader) {
  return take(reader, 1)[0];
}

function take(reader, size) {
  bounded(reader, size);
  reader.at += size;
  return reader.bytes.slice(reader.at - size, reader.at);
}
