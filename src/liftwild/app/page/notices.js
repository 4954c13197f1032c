// What is said to who looks and to who listens: errors, and progress now and then.

import { byId, made } from "./parts.js";

const PAUSE_MS = 4000; // between two words of progress
let last = { at: 0, words: "" };

/** An error as a line that stays until it is closed. */
export function alarm(line) {
  const box = made("div", { className: "problem", role: "alert" }, made("span", { textContent: line }));
  const close = made("button", { type: "button", textContent: "Close" });
  close.setAttribute("aria-label", `Close this message: ${line}`);
  close.addEventListener("click", () => {
    box.remove();
    byId("work").focus();
  });
  box.append(close);
  const alerts = byId("alerts");
  while (alerts.children.length > 2) alerts.firstChild.remove();
  alerts.append(box);
}

export function clearAlarms() { byId("alerts").replaceChildren(); }

/** Words for a screen reader. Progress (`isProgress`) is said only now and then. */
export function say(words, isProgress = false) {
  const now = performance.now();
  if (words === last.words || (isProgress && now - last.at < PAUSE_MS)) return;
  last = { at: now, words };
  byId("said").textContent = words;
}
