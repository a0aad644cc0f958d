// The page's keys.

// `acts`: a function for each key, as {s: (press) => …}. single() says whether keys of one letter are on. escaped(typing) is told of Esc;
// `typing`: whether it was pressed in a field, which is then empty.
export function onKeys(acts, single, escaped) {
  document.addEventListener("keydown", (press) => {
    if (press.ctrlKey || press.metaKey || press.altKey || document.querySelector("dialog[open]")) return;
    const typing = press.target.matches("input[type=search], input[type=text], select, textarea");
    const ownArrows = press.target.matches("input[type=radio], input[type=range], [tabindex]");
    if (press.key === "Escape") {
      if (typing) press.target.value = "";
      if (!escaped(typing)) press.target.blur?.();
      return;
    }
    if (typing || (press.key.length === 1 && !single()) || (ownArrows && press.key.startsWith("Arrow"))) return;
    const act = acts[press.key];
    if (!act) return;
    press.preventDefault();
    act(press);
  });
}
