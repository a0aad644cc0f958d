// What this tab keeps over a reload or a crash, in sessionStorage. It is written as it changes, not at the end, which a crash leaves out.

const OLD_TAB_MS = 1000; // after a reload the page before may hold the tab's lock for a moment

const held = new Promise(() => {}); // never resolves, so that the lock lasts as long as the page

// Whether this tab is the one that `sessionStorage` was written by. A duplicated tab gets a copy, but has sent nothing itself.
async function isOwn(tab) {
  if (!navigator.locks) return true;
  return new Promise((resolve) => {
    navigator.locks.request(`tab ${tab}`, {signal: AbortSignal.timeout(OLD_TAB_MS)}, () => {
      resolve(true);
      return held;
    }).catch(() => resolve(false));
  });
}

export async function claim() {
  try {
    const tab = sessionStorage.getItem("tab");
    if (tab && await isOwn(tab)) return;
    const token = sessionStorage.getItem("token");
    sessionStorage.clear();
    if (token) sessionStorage.setItem("token", token);
    const own = String(crypto.getRandomValues(new Uint32Array(2)).join(""));
    sessionStorage.setItem("tab", own);
    await isOwn(own);
  } catch { /* storage is off */ }
}

export function names() {
  try {
    return Object.keys(sessionStorage);
  } catch {
    return [];
  }
}

export function read(name) {
  try {
    return sessionStorage.getItem(name);
  } catch {
    return null;
  }
}

// `text`: null removes it. Returns false if the browser does not keep it: storage is off, or full.
export function write(name, text) {
  try {
    if (text === null) sessionStorage.removeItem(name);
    else sessionStorage.setItem(name, text);
    return true;
  } catch {
    return false;
  }
}

// What a person has chosen, for all tabs and for good
export function preference(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

export function prefer(name, choice) {
  try {
    localStorage.setItem(name, choice);
  } catch { /* storage is off */ }
}
