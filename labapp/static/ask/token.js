// The worker's API_TOKEN, where it has one: asked of the person when it is first needed, and kept for this tab only.

const dialog = document.getElementById("token");
const field = document.getElementById("token-value");
const PLACE = "token";

let held = null;
try {
  held = sessionStorage.getItem(PLACE);
} catch { /* storage is off */ }

let asking = null;

export const known = () => held;

// `refused` (null: none was sent) was not enough. Whether there is another now: several requests ask, and the person is asked once.
export function another(refused) {
  if (held !== refused) return Promise.resolve(true);
  asking ??= ask(refused).finally(() => { asking = null; });
  return asking;
}

async function ask(refused) {
  document.getElementById("token-refused").hidden = refused === null;
  field.value = "";
  dialog.returnValue = "";
  dialog.showModal();
  await new Promise((resolve) => { dialog.addEventListener("close", resolve, {once: true}); });
  const given = dialog.returnValue === "use" ? field.value : "";
  field.value = "";
  if (!given) return false;
  held = given;
  try {
    sessionStorage.setItem(PLACE, held);
  } catch { /* storage is off */ }
  return true;
}
