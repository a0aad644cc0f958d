// Makes elements. Text is always set as text, so the content of a topic never becomes markup (XSS).

// element("p", {class: "soft", hidden: true}, "text", child, …). Children that are null, undefined or false are left out.
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

// Sets a text only if it differs. Setting the same text again would drop a selection and move a screen reader's cursor.
export function setText(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

const drawn = new WeakMap(); // element → what it was drawn of

// Whether `what` (any JSON) differs from the last call for this element. Who draws the same again would drop a selection.
export function isNew(target, ...what) {
  const text = JSON.stringify(what);
  if (drawn.get(target) === text) return false;
  drawn.set(target, text);
  return true;
}

export function copyButton(text) {
  const button = element("button", {type: "button", class: "copy"}, "Copy");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(typeof text === "function" ? text() : text);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Not allowed";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 1200);
  });
  return button;
}

export function withCopy(pre) {
  const box = element("div", {class: "code"});
  pre.replaceWith(box);
  pre.tabIndex = 0;
  box.append(pre, copyButton(() => pre.textContent));
}

// Lets the browser save a text as a file. No request is sent.
export function download(name, type, text) {
  const url = URL.createObjectURL(new Blob([text], {type}));
  element("a", {href: url, download: name}).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
