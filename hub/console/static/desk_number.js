// Identity numbers (GB 11643-1999), as protocol/idnumber.py has them; the golden vectors hold for both.

const WEIGHTS = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
const CHECKS = "10X98765432";
const PROVINCES = new Set([
  11, 12, 13, 14, 15, 21, 22, 23, 31, 32, 33, 34, 35, 36, 37, 41, 42, 43, 44, 45, 46, 50, 51, 52, 53, 54,
  61, 62, 63, 64, 65, 71, 81, 82, 83,
]);

export function isIdNumber(text) {
  const found = /^[1-9][0-9]{5}([0-9]{4})([0-9]{2})([0-9]{2})[0-9]{3}[0-9X]$/.exec(text);
  if (!found || text.length !== 18) return false;
  const province = Number(text[0] === "9" ? text.slice(1, 3) : text.slice(0, 2));
  const total = WEIGHTS.reduce((sum, weight, at) => sum + weight * Number(text[at]), 0);
  return PROVINCES.has(province) && isDate(...found.slice(1).map(Number)) && text[17] === CHECKS[total % 11];
}

function isDate(year, month, day) {
  if (year < 1900 || year >= 2100) return false;
  const date = new Date(Date.UTC(year, month - 1, day));
  return date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
}

// What a hand or a card reader has typed -> number and, where the reader sends the whole card, name.
export function typed(text) {
  const plain = text.normalize("NFKC").trim();
  const found = /(?<![0-9])[0-9]{17}[0-9X](?![0-9X])/i.exec(plain);
  if (!found) return { number: plain.replace(/[\s-]/g, "").toUpperCase(), name: "" };
  const rest = `${plain.slice(0, found.index)} ${plain.slice(found.index + 18)}`;
  return { number: found[0].toUpperCase(), name: rest.replace(/[\s,;|:]+/g, " ").trim() };
}
