/** `osca completion`: made from the commands themselves, so that it is never behind them. */
import type { Command } from 'commander';
import { OscaError } from '../../core/errors.ts';
import { say } from '../render.ts';

interface Word {
  path: string;
  words: string[];
}

function wordsOf(command: Command, path: string): Word[] {
  const options = command.options.flatMap(({ long }) => (long === undefined ? [] : [long]));
  const own = { path, words: [...command.commands.map((one) => one.name()), ...options] };
  return [own, ...command.commands.flatMap((one) => wordsOf(one, `${path} ${one.name()}`.trim()))];
}

const bash = (words: readonly Word[]): string => `_osca() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" path="" word
  for word in "\${COMP_WORDS[@]:1:$((COMP_CWORD - 1))}"; do [[ $word == -* ]] || path="$path $word"; done
  case "\${path# }" in
${words.map(({ path, words: list }) => `    "${path}") COMPREPLY=($(compgen -W "${list.join(' ')}" -- "$cur")) ;;`).join('\n')}
    *) COMPREPLY=($(compgen -f -- "$cur")) ;;
  esac
}
complete -o default -F _osca osca`;

const fish = (words: readonly Word[]): string =>
  words
    .flatMap(({ path, words: list }) => {
      const seen =
        path === ''
          ? '__fish_use_subcommand'
          : path
              .split(' ')
              .map((word) => `__fish_seen_subcommand_from ${word}`)
              .join('; and ');
      return list.map((word) =>
        word.startsWith('--')
          ? `complete -c osca -n '${seen}' -l ${word.slice(2)}`
          : `complete -c osca -n '${seen}' -a ${word}`,
      );
    })
    .join('\n');

export function addCompletion(osca: Command): void {
  osca
    .command('completion <shell>')
    .description('completion for bash, zsh or fish')
    .addHelpText('after', '\nExample:\n  source <(osca completion bash)')
    .action((shell: string) => {
      const words = wordsOf(osca, '');
      if (shell === 'bash') say(bash(words));
      else if (shell === 'zsh') say(`autoload -U +X bashcompinit && bashcompinit\n${bash(words)}`);
      else if (shell === 'fish') say(fish(words));
      else throw new OscaError('bad-request', `'${shell}' is not supported`, 'osca completion bash, zsh or fish');
    });
}
