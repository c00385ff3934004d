/** `osca deploy`. */
import type { Command } from 'commander';
import type { DeployStep } from '../../api/deploying.ts';
import type { FileOptions } from '../files.ts';
import { bodyOf, collect } from '../files.ts';
import { clientOf, duration, wholeNumber } from '../shared.ts';
import { tellSteps } from '../steps.ts';

export function addDeployCommand(osca: Command): void {
  osca
    .command('deploy <file...>')
    .description(
      'run what a Compose file or Kubernetes manifests describe, and wait until it runs; further files are merged over it, of a folder all manifests are meant',
    )
    .option('--name <app>', 'name of the app, before name: of the file')
    .option('--profile <name>', 'also run services of this profile', collect, [] as string[])
    .option('--json', 'print JSON')
    .option('--detach', 'return as soon as it is accepted')
    .option('--timeout <time>', 'give up waiting after this long', '5m')
    .option('--ack <n>', 'other cells that must have it on disk', '1')
    .addHelpText(
      'after',
      '\nExamples:\n  osca deploy examples/hello/compose.yaml\n  osca deploy compose.yaml compose.production.yaml\n  osca deploy k8s/',
    )
    .action(
      async (
        files: string[],
        options: FileOptions & { detach?: boolean; timeout: string; ack: string },
        command: Command,
      ) => {
        const body = {
          ...bodyOf(files, options),
          detach: options.detach ?? false,
          timeoutMs: duration(options.timeout),
          acks: wholeNumber(options.ack),
        };
        const steps = clientOf(command).lines<DeployStep>('POST', '/v1/deploy', body);
        await tellSteps(steps, options.json === true);
      },
    );
}
