// A wall and the band of alerts follow one stream. Figures come as they are, never as what happened: a page that was
// asleep is right again with the next event.

const alarm = document.getElementById("alarm");
const words = JSON.parse(alarm.dataset.words);
const clock = new Intl.DateTimeFormat(words.locale, { timeZone: words.timezone, hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
const numbers = new Intl.NumberFormat(words.locale, { useGrouping: false });
const loads = ["fine", "near", "over"];

const make = (tag, kind, text) => {
  const made = document.createElement(tag);
  if (kind) made.className = kind;
  if (text !== undefined) made.textContent = text;
  return made;
};

const put = (within, name, text) => {
  const found = within.querySelector(`[data-${name}]`);
  if (found && found.textContent !== text) found.textContent = text;
};

// [entries, exits, inside, low, high, confidence, load, untimed]
function figures(within, [entries, exits, inside, low, high, confidence, load]) {
  put(within, "entries", numbers.format(entries));
  put(within, "exits", numbers.format(exits));
  put(within, "inside", numbers.format(inside));
  put(within, "range", `${low}–${high}`);
  put(within, "confidence", `${confidence} %`);
  const badge = within.querySelector("[data-load]");
  if (badge && badge.textContent) {
    badge.className = `load ${loads[load]}`;
    put(within, "load", words.loads[load]);
  }
  const meter = within.querySelector("[data-meter]");
  if (meter) meter.value = inside;
}

function light([colour, , direction, atMs, masked]) {
  const [name, word] = words.colours[colour];
  const item = make("li");
  item.append(make("span", `light ${name}`), " ", make("span", "what", `${word} · ${words.directions[direction]}`), " ", make("time", "", clock.format(atMs)));
  if (masked) item.append(" ", make("span", "masked", masked));
  return item;
}

const LIGHTS = 6;
const gates = new Map([...document.querySelectorAll("[data-gate]")].map((card) => [card.dataset.gate, card]));

function wall(said) {
  for (const [id, entries, exits, lights] of said.g) {
    const card = gates.get(id);
    if (!card) continue;
    put(card, "entries", numbers.format(entries));
    put(card, "exits", numbers.format(exits));
    const list = card.querySelector("[data-lights]");
    const items = lights.slice(-LIGHTS).reverse().map(light);
    if (said.full && items.length) list.replaceChildren(...items);
    else if (items.length) {
      list.querySelector("[data-nothing]")?.remove();
      list.prepend(...items);
      while (list.children.length > LIGHTS) list.lastElementChild.remove();
    }
  }
  if (said.p) figures(document.querySelector("[data-figures]"), said.p);
}

const rows = new Map([...document.querySelectorAll("[data-place]")].map((row) => [row.dataset.place, row]));

function places(said) {
  for (const [id, ...figured] of said.p) if (rows.has(id)) figures(rows.get(id), figured);
}

// Sound: two tones in turn, as at the gate. Browsers let a page sound only after a press on it.
const button = alarm.querySelector("[data-sound]");
const SOUND = "gatelight-sound";
let audio = null;

function siren() {
  if (audio?.state !== "running") return;
  const tone = audio.createOscillator(), volume = audio.createGain(), from = audio.currentTime;
  for (let half = 0; half < 6; half++) tone.frequency.setValueAtTime(half % 2 ? 770 : 960, from + half / 2);
  volume.gain.setValueAtTime(0.2, from);
  tone.connect(volume).connect(audio.destination);
  tone.start(from);
  tone.stop(from + 3);
}

function sounds() {
  const on = audio?.state === "running";
  button.setAttribute("aria-pressed", String(on));
  button.textContent = on ? button.dataset.on : button.dataset.off;
}

button.hidden = false;
button.addEventListener("click", async () => {
  if (audio?.state === "running") {
    await audio.suspend();
    localStorage.removeItem(SOUND);
  } else {
    audio ??= new AudioContext();
    await audio.resume();
    localStorage.setItem(SOUND, "on");
    siren();
  }
  sounds();
});
// Whoever wanted it on the last page gets it here with the first press anywhere.
if (localStorage.getItem(SOUND)) {
  document.addEventListener("pointerdown", async (event) => {
    if (button.contains(event.target)) return;
    audio ??= new AudioContext();
    await audio.resume();
    sounds();
  }, { once: true });
}

let known = null;

function alerts(said) {
  const news = said.newest.filter((alert) => alert.kind === "red" && !alert.late && known !== null && known.get(alert.id) !== alert.times);
  known = new Map(said.newest.map((alert) => [alert.id, alert.times]));
  alarm.classList.toggle("loud", said.open > 0);
  put(alarm, "open", numbers.format(said.open));
  const items = said.newest.slice(0, 5).map((alert) => {
    const item = make("li"), link = make("a");
    link.href = `/alerts/${alert.id}`;
    if (alert.kind === "red") link.append(make("span", "light red"));
    link.append(make("strong", "", words.kinds[alert.kind] + (alert.times > 1 ? ` ×${alert.times}` : "")), make("span", "", alert.where), make("time", "", clock.format(alert.at_ms)));
    if (alert.kind === "red") link.append(make("span", "", words.levels[alert.level]));
    if (alert.late) link.append(make("span", "load near", words.late));
    item.append(link);
    return item;
  });
  alarm.querySelector("[data-alerts]").replaceChildren(...items);
  if (news.length) siren();
}

alerts(JSON.parse(alarm.dataset.initial));
const stream = new EventSource(alarm.dataset.stream);
for (const [name, take] of Object.entries({ wall, places, alerts })) {
  stream.addEventListener(name, (event) => take(JSON.parse(event.data)));
}
stream.addEventListener("ended", () => {
  stream.close();
  location.reload();
});
