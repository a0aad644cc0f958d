// Applies the theme: light, dark or the system's. A script of its own in the head, so that it runs before the first paint and nothing flashes.
{
  const root = document.documentElement;
  const NEXT = {system: "light", light: "dark", dark: "system"};
  let theme = "system";
  try {
    theme = localStorage.getItem("theme") ?? theme;
  } catch { /* storage is off */ }

  const apply = () => {
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
    else delete root.dataset.theme;
  };
  apply();

  addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    const show = () => { button.textContent = `Theme: ${theme}`; };
    show();
    button.addEventListener("click", () => {
      theme = NEXT[theme] ?? "light";
      try {
        localStorage.setItem("theme", theme);
      } catch { /* storage is off */ }
      apply();
      show();
    });
  });
}
