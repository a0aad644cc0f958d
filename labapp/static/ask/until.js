// Waits for what takes its time.

const WAIT_MS = 90_000;
const LOOK_MS = 200;

const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

// The first true result of `look`, which is called again and again. An error of it counts as none. Rejects after 90 s, and names `what`.
export async function until(what, look) {
  const deadline = performance.now() + WAIT_MS;
  for (;;) {
    let problem = "";
    try {
      const found = await look();
      if (found) return found;
    } catch (error) {
      problem = ` ${error.message}`;
    }
    if (performance.now() > deadline) throw new Error(`Waited for ${what} for ${WAIT_MS / 1000} s.${problem}`);
    await sleep(LOOK_MS);
  }
}
