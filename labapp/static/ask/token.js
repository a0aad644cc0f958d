// Keeps the worker's API_TOKEN for this browser tab. How a person is asked for it is passed in.

const STORAGE_KEY = "token";

let held = null;
try {
  held = sessionStorage.getItem(STORAGE_KEY);
} catch { /* storage is off */ }

let promptPerson = async () => "";
let asking = null;
let gaveNone = false;

// prompt(refused): resolves to the token that the person typed, or "". `refused`: whether a token was sent and refused.
export function promptWith(prompt) {
  promptPerson = prompt;
}

export const known = () => held;

// The server refused this token (null: no token was sent). Resolves to whether there is another one now.
// Several requests may call this at once: the person is asked once. Who gave none is asked again only by a request that insists.
export function another(refused, {insist}) {
  if (held !== refused) return Promise.resolve(true);
  if (gaveNone && !insist) return Promise.resolve(false);
  asking ??= ask(refused).finally(() => { asking = null; });
  return asking;
}

async function ask(refused) {
  const given = await promptPerson(refused !== null);
  gaveNone = !given;
  if (gaveNone) return false;
  held = given;
  try {
    sessionStorage.setItem(STORAGE_KEY, held);
  } catch { /* storage is off */ }
  return true;
}
