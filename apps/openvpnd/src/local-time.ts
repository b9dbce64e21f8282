/** Unix seconds as OpenVPN prints them: `2026-11-21 04:18:15`, in local time. OpenVPN: time_string(). */
export function localTime(unixSeconds: number): string {
  const time = new Date(unixSeconds * 1000);
  const two = (value: number): string => String(value).padStart(2, '0');
  const date = `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;
  return `${date} ${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;
}
