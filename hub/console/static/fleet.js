// Pages about scanners: parts that follow, the countdown of a code, charts. Without it pages are loaded again by hand.

const FOCUSED = "a, button, summary, [tabindex]";

// <div data-stream="/address"> with <div data-event="name">: each event's text takes the place of what was there.
for (const place of document.querySelectorAll("[data-stream]")) {
  const source = new EventSource(place.dataset.stream);
  for (const part of place.querySelectorAll("[data-event]")) {
    source.addEventListener(part.dataset.event, (event) => {
      // What somebody has opened to read stays until they are done.
      if (part.querySelector("details[open]")) return;
      const scrolled = [...part.querySelectorAll(".scroll")].map((each) => each.scrollLeft);
      const focused = [...part.querySelectorAll(FOCUSED)].indexOf(document.activeElement);
      part.innerHTML = event.data;
      part.querySelectorAll(".scroll").forEach((each, i) => { each.scrollLeft = scrolled[i] ?? 0; });
      if (focused >= 0) part.querySelectorAll(FOCUSED)[focused]?.focus({ preventScroll: true });
    });
  }
  source.addEventListener("ended", () => { source.close(); location.reload(); });
  addEventListener("pagehide", () => source.close());
}

// <div data-until="ms from now">: counts down, and takes the code away at its end.
for (const place of document.querySelectorAll("[data-until]")) {
  const end = performance.now() + Number(place.dataset.until);
  const left = place.querySelector(".left");
  const tick = () => {
    const s = Math.max(0, Math.ceil((end - performance.now()) / 1000));
    left.textContent = `${Math.floor(s / 60)}:${String(s % 60).padStart(2, "0")}`;
    if (s === 0) {
      place.querySelector("img").remove();
      left.textContent = place.dataset.over;
      clearInterval(timer);
    }
  };
  const timer = setInterval(tick, 500);
  tick();
}

// <div data-samples="/api/…">: three charts over the same two days. The page says the same in words and as a table.
const charts = document.querySelector("[data-samples]");
if (charts && window.uPlot) {
  const answer = await fetch(charts.dataset.samples, { headers: { accept: "application/json" } });
  if (answer.ok) draw(await answer.json());
}

function draw(samples) {
  const style = getComputedStyle(document.documentElement);
  const ink = style.getPropertyValue("--soft"), line = style.getPropertyValue("--line"), accent = style.getPropertyValue("--accent");
  const titles = charts.dataset.titles.split("|");
  const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", timeZone: charts.dataset.zone });
  const day = new Intl.DateTimeFormat("en-GB", { month: "2-digit", day: "2-digit", timeZone: charts.dataset.zone });
  const told = (s) => {
    const time = clock.format(s * 1000);
    return time === "00:00" ? day.format(s * 1000).split("/").reverse().join("-") : time;
  };
  const axis = { stroke: ink, grid: { stroke: line, width: 1 }, ticks: { stroke: line } };
  for (const [i, name] of ["temperature", "spool", "decode_ms"].entries()) {
    const values = samples.map((each) => each[name]);
    if (values.every((value) => value === null)) continue;
    const place = charts.appendChild(document.createElement("div"));
    const size = () => ({ width: place.clientWidth, height: 180 });
    const plot = new uPlot({
      ...size(), title: titles[i], cursor: { sync: { key: "scanner" } }, legend: { show: false },
      tzDate: (s) => uPlot.tzDate(new Date(s * 1000), charts.dataset.zone),
      scales: { y: { range: (u, least, most) => [Math.min(0, least), Math.max(1, most) * 1.1] } },
      axes: [{ ...axis, values: (u, splits) => splits.map(told) }, axis],
      series: [{}, { label: titles[i], stroke: accent, width: 2, spanGaps: false }],
    }, [samples.map((each) => each.at_ms / 1000), values], place);
    addEventListener("resize", () => plot.setSize(size()));
  }
}
