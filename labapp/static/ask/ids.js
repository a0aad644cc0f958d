// Numbers events for people. A transaction of IndexedDB is what all tabs of a browser share without two of them getting the same number.

const PATIENCE_MS = 1000; // a click must send, whatever happens to the storage

let opened = open().catch(() => null); // at once, and kept, since its time would be part of the gap after *clicked*

// The first of `count` numbers that nobody else gets
export async function take(count) {
  const late = new Promise((resolve) => { setTimeout(resolve, PATIENCE_MS, null); });
  return await Promise.race([next(count), late]) ?? Date.now();
}

// Resolves to null if the storage is off.
async function next(count) {
  try {
    const ids = (await opened).transaction("ids", "readwrite").objectStore("ids");
    const last = await done(ids.get("last")) ?? 0;
    ids.put(last + count, "last");
    return last + 1;
  } catch {
    return null;
  }
}

async function open() {
  const opening = indexedDB.open("labapp", 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore("ids");
  const database = await done(opening);
  database.onclose = () => { opened = open().catch(() => null); }; // a person has cleared the storage
  return database;
}

function done(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
