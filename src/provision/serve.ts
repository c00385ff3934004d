/** Machines of a network start from a folder that `osca image build --netboot` made: dnsmasq answers them (DHCP beside the server that is there, TFTP), the image comes by HTTP. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream, existsSync, readFileSync, statSync } from 'node:fs';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import { isIPv4 } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { pipeline } from 'node:stream';
import { OscaError, reasonOf } from '../core/errors.ts';
import type { Netboot } from './netboot.ts';
import { imageName, imagePort, servedName } from './netboot.ts';
import type { Arch } from './package.ts';

/** What a machine has been given. */
export interface Given {
  /** IPv4 */
  machine: string;
  /** A file's name. */
  file: string;
  /** Of the image: 0 to 100, in tens. */
  percent?: number;
}

/** Which loader whom: see `dnsmasq --pxe-service help`. A Pi says that it is a PC with a BIOS. */
const loaders: Readonly<Record<Arch, readonly string[]>> = {
  amd64: ['x86PC,OSCA,grub', 'X86-64_EFI,OSCA,BOOTX64.EFI', 'BC_EFI,OSCA,BOOTX64.EFI'],
  arm64: ['0,Raspberry Pi Boot'],
};

export interface Serving {
  /** Machines can start. */
  ready(): void;
  tell(given: Given): void;
  /** Ends it. */
  signal: AbortSignal;
}

/** Until it is ended. Throws OscaError where it can't be served. */
export async function serveNetboot(folder: string, { ready, tell, signal }: Serving): Promise<void> {
  const { arch, address } = servedBy(folder);
  if (process.getuid?.() !== 0)
    throw new OscaError('denied', 'DHCP and TFTP are answered as root', `sudo osca image serve ${folder}`);
  const own = Object.entries(networkInterfaces()).flatMap(([name, all = []]) =>
    all.map((one) => ({ name, address: one.address })),
  );
  const at = own.find((one) => one.address === address);
  if (at === undefined)
    throw new OscaError(
      'bad-request',
      `it is to be served from ${address}, which is no address of this machine`,
      `build it anew: osca image build --netboot ${own.find((one) => !/:|^127\./.test(one.address))?.address ?? 'ADDRESS'}`,
    );
  const image = join(folder, imageName);
  const server = createServer((request, response) => giveImage(image, request, response, tell));
  await listen(server, address);
  const words = ['--no-daemon', '--conf-file=/dev/null', '--port=0', `--dhcp-range=${address},proxy`, '--enable-tftp'];
  // Machines of other networks of this one are not answered.
  const network = [`--interface=${at.name}`, '--except-interface=lo', '--bind-interfaces'];
  const services = loaders[arch].map((one) => `--pxe-service=${one}`);
  const args = [...words, ...network, `--tftp-root=${resolve(folder)}`, '--pxe-prompt=OSCA,1', ...services];
  const dnsmasq = spawn('dnsmasq', args, { stdio: ['ignore', 'ignore', 'pipe'], signal });
  const said: string[] = [];
  createInterface({ input: dnsmasq.stderr }).on('line', (line) => {
    said.push(line);
    said.splice(0, said.length - 3);
    // It says so when all its ports are open.
    if (line.includes(': TFTP root is ')) ready();
    const [, path, machine] = /sent (.+) to (\S+)$/.exec(line) ?? [];
    if (machine !== undefined) tell({ machine, file: path!.slice(resolve(folder).length + 1) });
  });
  try {
    // It runs until it is ended, or fails.
    await once(dnsmasq, 'close');
    throw new OscaError('start-failed', `dnsmasq ended: ${said.join('; ')}`, 'does another answer DHCP or TFTP here?');
  } catch (error) {
    if (signal.aborted) return;
    if ((error as { code?: string }).code === 'ENOENT')
      throw new OscaError('not-found', 'dnsmasq is missing', 'apt-get install dnsmasq-base');
    throw error;
  } finally {
    dnsmasq.kill();
    server.close();
    server.closeAllConnections();
  }
}

function servedBy(folder: string): Pick<Netboot, 'arch' | 'address'> {
  const file = join(folder, servedName);
  if (!existsSync(file))
    throw new OscaError(
      'not-found',
      `${folder} is no folder that machines can start from`,
      'osca image build --netboot makes one',
    );
  try {
    const { arch, address } = JSON.parse(readFileSync(file, 'utf8')) as Netboot;
    if (Object.hasOwn(loaders, arch) && isIPv4(address)) return { arch, address };
  } catch {
    // Said below.
  }
  throw new OscaError('bad-request', `${file} is damaged`, 'build the folder anew: osca image build --netboot …');
}

async function listen(server: Server, address: string): Promise<void> {
  try {
    server.listen(imagePort, address);
    await once(server, 'listening');
  } catch (error) {
    throw new OscaError(
      'port-taken',
      `the image can't be served: ${reasonOf(error)}`,
      `is port ${imagePort} of ${address} in use?`,
    );
  }
}

/** Whatever stands there now: the folder may be built anew meanwhile. */
function giveImage(
  image: string,
  request: IncomingMessage,
  response: ServerResponse,
  tell: (given: Given) => void,
): void {
  const size = statSync(image, { throwIfNoEntry: false })?.size;
  if (!['GET', 'HEAD'].includes(request.method ?? '') || request.url !== `/${imageName}` || size === undefined) {
    response.writeHead(404).end();
    return;
  }
  const machine = request.socket.remoteAddress ?? '';
  let [sent, tens] = [0, -1];
  response.writeHead(200, { 'content-length': size, 'content-type': 'application/zstd' });
  if (request.method === 'HEAD') {
    response.end();
    return;
  }
  const file = createReadStream(image).on('data', (chunk) => {
    sent += chunk.length;
    const now = Math.floor((sent * 10) / size);
    if (now > tens) tell({ machine, file: imageName, percent: (tens = now) * 10 });
  });
  // Who goes away is given no more.
  pipeline(file, response, () => {});
}
