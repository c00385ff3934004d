/** What `osca up` is told so that a cell stays on loopback, takes any free port, and runs plain processes. */
const apart = ['--api-port', '0', '--engine', 'none', '--no-mdns', '--quiet'];

export const loopback: readonly string[] = ['--listen', '/ip4/127.0.0.1/tcp/0', ...apart];
/** The same where the caller says where to listen. */
export const loopbackElsewhere: readonly string[] = apart;
