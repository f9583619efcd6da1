// What is typed -> sealed to the platform; the platform's answer -> what is told. The wire: protocol/README.md, "The
// attendant's desk". Only this page and the platform can read either.

import { Chacha20Poly1305, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from "./vendor/hpke.js";
import { decode, encode } from "./desk_cbor.js";

const suite = new CipherSuite({
  kem: new DhkemX25519HkdfSha256(),
  kdf: new HkdfSha256(),
  aead: new Chacha20Poly1305(),
});
const ID_BYTES = 16, NONCE_BYTES = 16, ENC_BYTES = 32, QUESTION_STEP = 1024, TOLD_STEP = 256;

export const REGISTRATION = 0, LOOK_UP = 1;

// (the platform's key, which question, where, what was typed by the wire's keys) -> a question.
// `body` goes to the hub; the rest stays here and opens the answer. Nothing that was typed is in it.
export async function sealed({ resolver, ask, place, gate, typed, people }) {
  const nonce = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
  const keys = await suite.kem.generateKeyPair();
  const reply = new Uint8Array(await suite.kem.serializePublicKey(keys.publicKey));
  const plain = encode({ 1: nonce, 2: ask, 3: place, 4: gate, 5: Date.now(), 6: reply, ...typed });
  const id = (await sha256(joined(ascii("gatelight/desk-id/1"), plain))).slice(0, ID_BYTES);
  const sender = await suite.createSenderContext({
    recipientPublicKey: await suite.kem.deserializePublicKey(resolver),
    info: joined(ascii("gatelight/desk/1"), id),
  });
  const padded = pad(plain, QUESTION_STEP);
  const text = new Uint8Array(await sender.seal(padded));
  plain.fill(0);
  padded.fill(0);
  const body = encode({ 1: id, 2: ask, 3: place, 4: gate, 5: joined(new Uint8Array(sender.enc), text) });
  return { ask, id, nonce, keys, people, body };
}

// The platform's signed answer to a question of ours -> [{colour, reason}, ...] in the order of the people. Throws if it
// is another's, or not from who read the question: the hub has verified the signature, and this does not rest on it.
export async function told(answer, question) {
  const parts = decode(answer);
  if (!Array.isArray(parts) || parts.length !== 4) throw new Error("no signed answer");
  const receipt = decode(parts[2]);
  if (!same(receipt.get(1), question.id) || receipt.get(2) !== question.ask) throw new Error("another question's");
  const inner = receipt.get(4);
  const recipient = await suite.createRecipientContext({
    recipientKey: question.keys,
    enc: inner.slice(0, ENC_BYTES),
    info: joined(ascii("gatelight/desk-answer/1"), question.id),
  });
  const read = decode(unpad(new Uint8Array(await recipient.open(inner.slice(ENC_BYTES))), TOLD_STEP));
  if (!same(read.get(1), question.nonce)) throw new Error("not by who read the question");
  const people = read.get(2).map((one) => ({ colour: one.get(1), reason: one.get(2) }));
  const colours = people.map((one) => one.colour).sort();
  if (people.length !== question.people) throw new Error("of more people, or fewer");
  if (people.some((one) => !(one.colour >= 0 && one.colour <= 4))) throw new Error("no colour");
  if (question.ask === REGISTRATION && String(receipt.get(5)) !== String(colours)) throw new Error("other colours");
  return people;
}

// A key's fingerprint, as protocol/sealing.py shows it.
export async function fingerprint(key) {
  const cose = joined(new Uint8Array([0xa3, 0x01, 0x01, 0x20, 0x04, 0x21, 0x58, 0x20]), key);
  const digits = Array.from(await sha256(cose), (one) => one.toString(16).padStart(2, "0")).join("");
  return digits.slice(0, 32).match(/.{4}/g).join(" ");
}

export function fromHex(text) {
  return Uint8Array.from(text.match(/../g) ?? [], (two) => parseInt(two, 16));
}

function pad(plain, step) {
  const padded = new Uint8Array((Math.floor(plain.length / step) + 1) * step);
  padded.set(plain);
  padded[plain.length] = 0x80;
  return padded;
}

function unpad(padded, step) {
  let end = padded.length - 1;
  while (end >= 0 && padded[end] === 0) end -= 1;
  if (padded.length % step || padded[end] !== 0x80 || padded.length - end > step) throw new Error("wrongly padded");
  return padded.slice(0, end);
}

function joined(...parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  parts.reduce((at, part) => (whole.set(part, at), at + part.length), 0);
  return whole;
}

function same(one, other) {
  return one instanceof Uint8Array && one.length === other.length && one.every((byte, at) => byte === other[at]);
}

async function sha256(bytes) {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}

function ascii(text) {
  return new TextEncoder().encode(text);
}
