// What pages do beyond forms and links. Everything works without it, only less comfortably.

// <code data-copy>: a press copies it.
for (const code of document.querySelectorAll("[data-copy]")) {
  code.tabIndex = 0;
  code.addEventListener("click", () => navigator.clipboard?.writeText(code.textContent.trim()));
}

// <form data-ask="Really?">: asks before it is sent.
document.addEventListener("submit", (event) => {
  const ask = event.target.dataset.ask;
  if (ask && !confirm(ask)) event.preventDefault();
});

// A phone's menu is wider than its window: where one is, is in sight.
document.querySelector(".menu [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
