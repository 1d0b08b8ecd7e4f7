import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { controlSocketPath, runtimeDirectory, stateDirectory } from '../../src/contract/directories.ts';

const user = { HOME: '/home/eva', XDG_RUNTIME_DIR: '/run/user/1000', XDG_STATE_HOME: '/home/eva/state' };

test('what systemd gives comes first, for root and for users', () => {
  const given = { ...user, RUNTIME_DIRECTORY: '/run/mixer:/run/other', STATE_DIRECTORY: '/var/lib/mixer' };
  for (const uid of [0, 1000]) {
    assert.is(runtimeDirectory(given, uid), '/run/mixer');
    assert.is(stateDirectory(given, uid), '/var/lib/mixer');
  }
});

test("root has the host's places, whatever his environment says of a user's", () => {
  assert.is(runtimeDirectory(user, 0), '/run/entropy-mixer');
  assert.is(stateDirectory(user, 0), '/var/lib/entropy-mixer');
});

test('a user has the places of the XDG specification', () => {
  assert.is(runtimeDirectory(user, 1000), '/run/user/1000/entropy-mixer');
  assert.is(stateDirectory(user, 1000), '/home/eva/state/entropy-mixer');
  assert.is(stateDirectory({ HOME: '/home/eva' }, 1000), '/home/eva/.local/state/entropy-mixer');
});

test('a user without an environment gets places that carry his id', () => {
  assert.is(runtimeDirectory({}, 1000), '/tmp/entropy-mixer-1000');
  assert.is(stateDirectory({}, 1000), '/var/tmp/entropy-mixer-1000');
});

test('empty and relative paths count as unset', () => {
  for (const path of ['', 'run', './run']) {
    assert.is(
      runtimeDirectory({ RUNTIME_DIRECTORY: path, XDG_RUNTIME_DIR: path }, 7),
      '/tmp/entropy-mixer-7',
    );
    assert.is(
      stateDirectory({ STATE_DIRECTORY: path, XDG_STATE_HOME: path, HOME: path }, 7),
      '/var/tmp/entropy-mixer-7',
    );
  }
});

test('the control socket lies in the runtime directory', () => {
  assert.is(controlSocketPath('/run/entropy-mixer'), '/run/entropy-mixer/control.sock');
});

test.run();
