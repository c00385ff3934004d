// A small web service: says which replica answers. `--check` asks it whether it is well, for the health check.
import { createServer, get } from 'node:http';

const port = Number(process.env.PORT ?? 8080);

if (process.argv.includes('--check')) {
  get({ host: '127.0.0.1', port, path: '/health', timeout: 1_000 }, ({ statusCode }) =>
    process.exit(statusCode === 200 ? 0 : 1),
  ).on('error', () => process.exit(1));
} else {
  const server = createServer((request, response) => {
    const text = request.url === '/health' ? 'ok' : `${process.env.GREETING}, I am ${process.env.OSCA_REPLICA}`;
    response.end(`${text}\n`);
  });
  server.listen(port, () => console.log(`${process.env.OSCA_REPLICA} listens on ${port}`));
  process.on('SIGTERM', () => server.close(() => process.exit(0)).closeAllConnections());
}
