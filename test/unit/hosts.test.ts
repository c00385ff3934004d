/** Machines as people name them. */
import { describe, expect, it } from 'vitest';
import { targetOf, targetsOf } from '../../src/provision/hosts.ts';

describe('a machine', () => {
  it.each([
    ['192.168.1.20', { user: 'root', host: '192.168.1.20', port: 22 }],
    ['pi@attic.local:2222', { user: 'pi', host: 'attic.local', port: 2222 }],
    ['root@[fe80::1%eth0]:22', { user: 'root', host: 'fe80::1%eth0', port: 22 }],
    ['admin@2001:db8::7', { user: 'admin', host: '2001:db8::7', port: 22 }],
  ])('%s', (text, target) => {
    expect(targetOf(text)).toEqual(target);
  });

  it.each(['', 'a b', 'root@', '@host', 'host:0', 'host:99999', 'host:ssh', 'root@host/x'])("is not '%s'", (text) => {
    expect(() => targetOf(text)).toThrow('is no machine');
  });
});

describe('a list of machines', () => {
  it('has comments, passwords with spaces, and none', () => {
    expect(targetsOf('# boards\n\n pi@a:2222  two words \nb\n', 'f')).toEqual([
      { user: 'pi', host: 'a', port: 2222, password: 'two words' },
      { user: 'root', host: 'b', port: 22 },
    ]);
  });

  it('is refused by line', () => {
    expect(() => targetsOf('a\nb!\n', 'f')).toThrow("f:2: 'b!' is no machine");
    expect(() => targetsOf('a x\n\npi@a y\n', 'f')).toThrow('f:3: a:22 stands in line 1 too');
  });
});
