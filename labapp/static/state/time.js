// Formats times and durations for people. All arguments are microseconds, times since the epoch.

const two = (number) => String(number).padStart(2, "0");

export const nowUs = () => Math.round((performance.timeOrigin + performance.now()) * 1000);

// 14:03:15.872, in UTC
export function utc(us) {
  return new Date(us / 1000).toISOString().slice(11, 23);
}

export function local(us) {
  const date = new Date(us / 1000);
  return `${date.toLocaleDateString()} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())} local time`;
}

export function clock(us) {
  return utc(us).slice(0, 8);
}

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
