// The time now, and times and durations for people. All are microseconds, times since the epoch.

const two = (number) => String(number).padStart(2, "0");

// performance.now() is fine, but stands still while the machine sleeps, and does not follow when the clock is set. Date.now() does both.
const JUMP_MS = 50;
let shiftMs = 0;
let jumped = 0;

export function nowUs() {
  const steadyMs = performance.timeOrigin + performance.now();
  const offMs = Date.now() - steadyMs - shiftMs;
  if (Math.abs(offMs) > JUMP_MS) {
    shiftMs += offMs;
    jumped++;
  }
  return Math.round((steadyMs + shiftMs) * 1000);
}

// How often the machine slept or its clock was set. What was measured with the clock before is worth nothing then.
export function jumps() {
  nowUs();
  return jumped;
}

// When a DOM event happened
export const whenUs = (occasion) => nowUs() - Math.round((performance.now() - occasion.timeStamp) * 1000);

const UNKNOWN = "not known";
const drawable = (us) => typeof us === "number" && us >= 0 && us < 253_402_300_800e6; // up to the year 9999

// 14:03:15.872, in UTC
export function utc(us) {
  return drawable(us) ? new Date(us / 1000).toISOString().slice(11, 23) : UNKNOWN;
}

export function local(us) {
  if (!drawable(us)) return UNKNOWN;
  const date = new Date(us / 1000);
  return `${date.toLocaleDateString()} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())} local time`;
}

// 14:03:15
export const clock = (us) => (drawable(us) ? utc(us).slice(0, 8) : UNKNOWN);

// 14:03:15 UTC: where no heading says that times are in UTC
export const utcClock = (us) => (drawable(us) ? `${clock(us)} UTC` : UNKNOWN);

export function duration(us) {
  const ms = Math.abs(us) / 1000;
  const sign = us < 0 ? "−" : "";
  if (ms < 0.995) return `${sign}${ms.toFixed(2)} ms`;
  if (ms < 99.95) return `${sign}${ms.toFixed(1)} ms`;
  if (ms < 9999.5) return `${sign}${Math.round(ms).toLocaleString("en")} ms`;
  const seconds = ms / 1000;
  if (seconds < 99.95) return `${sign}${seconds.toFixed(1)} s`;
  if (seconds < 5400) return `${sign}${Math.round(seconds / 60)} min`;
  return `${sign}${(seconds / 3600).toFixed(1)} h`;
}

export const plural = (count, one, many = `${one}s`) => `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
