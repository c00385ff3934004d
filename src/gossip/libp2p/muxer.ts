/**
 * Yamux that grants window when half of it is used, as HashiCorp's own does (stream.go, sendWindowUpdate). The one of
 * libp2p 3.3 answers every message with an update: for small messages that doubles the packets, the ciphers and the
 * system calls.
 */
import type { StreamMuxerFactory } from '@libp2p/interface';
import { yamux } from '@libp2p/yamux';

/** What is used of a yamux stream and its muxer; the transport's contract suite notices when they change. */
interface YamuxStream {
  state: number;
  recvWindow: number;
  recvWindowCapacity: number;
  sendWindowUpdate(): void;
}
interface YamuxMuxer {
  _newStream(...args: unknown[]): YamuxStream;
}

/** yamux's StreamState.Established: nothing else (SYN, ACK) rides on an update. */
const established = 3;

export const thriftyYamux = (): (() => StreamMuxerFactory) => () => {
  const factory: StreamMuxerFactory = yamux()();
  const create = factory.createStreamMuxer.bind(factory);
  factory.createStreamMuxer = (connection) => {
    const muxer = create(connection);
    const inner = muxer as unknown as YamuxMuxer;
    const open = inner._newStream.bind(inner);
    inner._newStream = (...args) => thrifty(open(...args));
    return muxer;
  };
  return factory;
};

function thrifty(stream: YamuxStream): YamuxStream {
  const update = stream.sendWindowUpdate.bind(stream);
  stream.sendWindowUpdate = () => {
    if (stream.state !== established || stream.recvWindowCapacity * 2 <= stream.recvWindow) update();
  };
  return stream;
}
