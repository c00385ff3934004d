/**
 * Yamux that grants window when half of it is used, as HashiCorp's own does (stream.go, sendWindowUpdate). The one of
 * libp2p 3.3 answers every message with an update: for small messages that doubles the packets, the ciphers and the
 * system calls.
 *
 * A reader that pauses while it is handed what had gathered stays paused: libp2p's resume() would go on granting window to it, until
 * its buffer is over the limit and the stream is cut.
 */
import type { StreamMuxerFactory } from '@libp2p/interface';
import { yamux } from '@libp2p/yamux';

/** What is used of a yamux stream and its muxer; the transport's contract suite notices when they change. */
interface YamuxStream {
  state: number;
  recvWindow: number;
  recvWindowCapacity: number;
  readStatus: string;
  sendWindowUpdate(): void;
  sendResume(): void;
}
interface YamuxMuxer {
  _newStream(...args: unknown[]): YamuxStream;
}

/** yamux's StreamState.Established: nothing else (SYN, ACK) rides on an update. */
const established = 3;

/** What a writer may send ahead; libp2p cuts a stream that has 4 MiB unread. */
const windowBytes = { initialStreamWindowSize: 262_144, maxStreamWindowSize: 2_097_152 };

export const thriftyYamux = (): (() => StreamMuxerFactory) => () => {
  const factory: StreamMuxerFactory = yamux({ streamOptions: windowBytes })();
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
  const resume = stream.sendResume.bind(stream);
  stream.sendResume = () => {
    if (stream.readStatus !== 'paused') resume();
  };
  return stream;
}
