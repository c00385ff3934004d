/**
 * Keeps strangers from gossip and the DHT: both register their protocols through this guard, which lets only admitted
 * peers through, in and out. (The registrar's own stream middleware in libp2p 3.3 appends to the list it was given at each
 * inbound stream, so it can't be used for this.)
 */
import type { Connection, StreamHandler, StreamHandlerOptions, Topology } from '@libp2p/interface';
import type { Registrar } from '@libp2p/interface-internal';

/** Tells what was registered that this peer is connected, as the registrar does once. */
export const meet = (topologies: readonly Topology[], connection: Connection): void =>
  topologies.forEach((topology) => void topology.onConnect?.(connection.remotePeer, connection));

/** `topologies` collects what is registered. */
export function guarded<Components extends { registrar: Registrar }>(
  components: Components,
  isAdmitted: (peer: string) => boolean,
  topologies: Topology[] = [],
): Components {
  const { registrar } = components;
  const guard = {
    handle: (protocol: string | string[], handler: StreamHandler, options?: StreamHandlerOptions) => {
      const checked: StreamHandler = (stream, connection) => {
        if (isAdmitted(connection.remotePeer.toString())) return handler(stream, connection);
        stream.abort(new Error('not a member'));
      };
      return registrar.handle(protocol as string, checked, options);
    },
    register: (protocol: string, topology: Topology) => {
      topologies.push(topology);
      return registrar.register(protocol, {
        ...topology,
        onConnect: (peer, connection) => {
          if (isAdmitted(peer.toString())) topology.onConnect?.(peer, connection);
        },
      });
    },
  };
  const checkedRegistrar = new Proxy(registrar, {
    get: (target, key) => {
      if (key === 'handle' || key === 'register') return guard[key];
      const value: unknown = Reflect.get(target, key);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  return new Proxy(components, {
    get: (target, key) => (key === 'registrar' ? checkedRegistrar : Reflect.get(target, key)),
    has: (target, key) => Reflect.has(target, key),
  });
}
