// What the system tells of a running process, of the namespace that it is in, and of the machine.

import { readFileSync } from 'node:fs';

/** User and system time that it has used so far, all its threads, in hundredths of a second. */
export function cpuSeconds(pid) {
  // Fields 14 and 15 of stat(5), counted behind the name, which may hold spaces.
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

export function residentBytes(pid) {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) * 1024;
}

/** Datagrams that found the buffers of their sockets full so far, of all sockets in the namespace of that process: outside of a tunnel and inside. */
export function datagramOverflows(pid) {
  const [names, numbers] = readFileSync(`/proc/${pid}/net/snmp`, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('Udp: '))
    .map((line) => line.split(' '));
  return Number(numbers[names.indexOf('RcvbufErrors')]);
}

/** What other machines of the same host have had of this one's processors so far, all of them together, in hundredths of a second; 0 where nobody tells. */
export function stolenSeconds() {
  const [, , , , , , , , stolen = '0'] = readFileSync('/proc/stat', 'utf8').split('\n')[0].split(/\s+/);
  return Number(stolen) / 100;
}
