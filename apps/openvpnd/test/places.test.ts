import { expect, test } from 'vitest';
import { Places } from '../src/host/places.js';

test('places: as many as there are, then in turn, and nobody slips in while one is handed over', async () => {
  const places = new Places(2);
  const inside: string[] = [];
  const enter = (name: string): Promise<void> => places.enter().then(() => void inside.push(name));
  await Promise.all([enter('a'), enter('b')]);
  const waiting = [enter('c'), enter('d')];
  await Promise.resolve();
  expect(inside).toEqual(['a', 'b']);
  places.leave();
  // In the same turn: the place is c's already.
  const late = enter('e');
  await waiting[0];
  await Promise.resolve();
  expect(inside).toEqual(['a', 'b', 'c']);
  places.leave();
  places.leave();
  await Promise.all([waiting[1], late]);
  expect(inside).toEqual(['a', 'b', 'c', 'd', 'e']);
  places.leave();
  places.leave();
  await enter('f');
  await enter('g');
  const kept = enter('h');
  await Promise.resolve();
  expect(inside).toHaveLength(7);
  places.leave();
  await kept;
});
