// <button data-print>: the page on paper. Without scripts the browser's own menu does it.
for (const button of document.querySelectorAll("[data-print]")) button.addEventListener("click", () => print());
