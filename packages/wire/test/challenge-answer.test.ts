import { describe, expect, test } from 'vitest';
import { answerDynamicChallenge, answerStaticChallenge, parseDynamicChallenge } from '../src/index.js';
import { vectors } from './vectors.js';

describe('vectors', () => {
  test.each(vectors('challenge_answers').map((v) => [v.id, v] as const))('%s', (id, { inputs, expected }) => {
    if (inputs.challenge !== undefined) {
      const challenge = parseDynamicChallenge(inputs.challenge);
      expect(challenge?.text).toBe(expected.prompt);
      expect(challenge && answerDynamicChallenge(challenge, inputs.response)).toEqual({
        username: expected.username,
        password: expected.password,
      });
    } else {
      const format = id === 'scrv1-concat' ? 'concat' : 'scrv1';
      expect(answerStaticChallenge(inputs.password, inputs.response, format)).toBe(expected.password);
    }
  });
});

test('a challenge whose user name is no base64 has no answer', () => {
  const challenge = { flags: ['R'], stateId: 'x', username: '*', text: '' };
  expect(answerDynamicChallenge(challenge, 'y')).toBeUndefined();
});
