// Hosts of a cluster on this machine: network namespaces, each with a name and addresses of its own and an sshd, on two networks. Their
// keys and settings are in a temporary folder. Needs root.

import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { appendFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Ended, ended, nodeProgram, openMpi, ROOT } from './ranks.ts'

const SSHD = '/usr/sbin/sshd'
/** The first of the two is that of MPI. */
const networks = ['10.99.1', '10.99.2'] as const

const ip = (...args: string[]): string =>
  execFileSync('ip', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })

/** Why there can be no such hosts here; false if there can. */
export const hostsSkip: string | false = openMpi.skip || reasonAgainstHosts()

function reasonAgainstHosts(): string | false {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'network namespaces need root on Linux'
  if (spawnSync('ip', ['-V']).status !== 0) return 'ip is not installed (Debian: iproute2)'
  if (!existsSync(SSHD)) return 'sshd is not installed (Debian: openssh-server)'
  if (spawnSync('ssh', ['-V']).status !== 0) return 'ssh is not installed (Debian: openssh-client)'
  const probe = `probe-${process.pid}`
  try {
    ip('netns', 'add', probe)
    ip('-n', probe, 'link', 'add', 'bridge0', 'type', 'bridge')
    ip('netns', 'exec', probe, 'unshare', '--uts', 'hostname', 'probe')
  } catch (error) {
    return `network namespaces are not permitted here: ${(error as Error).message.trim()}`
  } finally {
    spawnSync('ip', ['netns', 'del', probe])
  }
  return false
}

/** A training that was started on some hosts. */
export interface Started {
  readonly process: ChildProcess
  /** when mpirun has ended */
  readonly ended: Promise<Ended>
}

/** Hosts with the names a, b, … on two networks. {@link Hosts.close} removes all. */
export class Hosts {
  readonly #folder: string
  readonly #names: readonly string[]

  private constructor(folder: string, names: readonly string[]) {
    this.#folder = folder
    this.#names = names
  }

  static async start(names: readonly string[]): Promise<Hosts> {
    const hosts = new Hosts(await mkdtemp(join(tmpdir(), 'hosts-')), names)
    // where sshd keeps an empty folder
    await mkdir('/run/sshd', { recursive: true })
    await hosts.#makeKey('user')
    const between = hosts.#space('switch')
    ip('netns', 'add', between)
    for (const [n] of networks.entries()) {
      ip('-n', between, 'link', 'add', `network${n}`, 'type', 'bridge')
      ip('-n', between, 'link', 'set', `network${n}`, 'up')
    }
    for (const name of names) await hosts.#add(name)
    return hosts
  }

  async #add(name: string): Promise<void> {
    const [own, between] = [this.#space(name), this.#space('switch')]
    ip('netns', 'add', own)
    ip('netns', 'exec', own, 'sh', '-c', 'echo 1 | tee /proc/sys/net/ipv6/conf/*/disable_ipv6')
    // a connection with data on the way ends after 0.2 + 0.4 + 0.8 + 1.6 s without an answer, an idle one after those of `run`
    ip('netns', 'exec', own, 'sh', '-c', 'echo 3 > /proc/sys/net/ipv4/tcp_retries2')
    ip('-n', own, 'link', 'set', 'lo', 'up')
    for (const [n] of networks.entries()) {
      ip('-n', own, 'link', 'add', `net${n}`, 'type', 'veth', 'peer', 'name', `${name}${n}`, 'netns', between)
      ip('-n', between, 'link', 'set', `${name}${n}`, 'master', `network${n}`, 'up')
      ip('-n', own, 'address', 'add', `${this.address(name, n)}/24`, 'dev', `net${n}`)
      ip('-n', own, 'link', 'set', `net${n}`, 'up')
    }
    const key = await this.#makeKey(name)
    await appendFile(this.#path('known'), `${this.address(name)} ${key}`)
    const settings = [
      `ListenAddress ${this.address(name)}`,
      `HostKey ${this.#path(name)}`,
      `AuthorizedKeysFile ${this.#path('user.pub')}`,
      `PidFile ${this.#path(`${name}.pid`)}`,
      'PermitRootLogin prohibit-password',
      'StrictModes no',
      'UsePAM no',
    ]
    await writeFile(this.#path(`${name}.conf`), `${settings.join('\n')}\n`)
    this.startSshd(name)
  }

  /** Starts the sshd of a host; it goes on by itself. */
  startSshd(name: string): void {
    execFileSync('ip', [...this.#on(name), SSHD, '-f', this.#path(`${name}.conf`), '-E', this.#path(`${name}.log`)])
  }

  /** Makes a pair of keys, and returns the public one. */
  async #makeKey(name: string): Promise<string> {
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', name, '-f', this.#path(name)])
    return readFile(this.#path(`${name}.pub`), 'utf8')
  }

  #path(file: string): string {
    return join(this.#folder, file)
  }

  /** The name of a network namespace. */
  #space(name: string): string {
    return `cocagrad-${process.pid}-${name}`
  }

  /** The arguments of `ip` that run a program on a host. */
  #on(name: string): string[] {
    return ['netns', 'exec', this.#space(name), 'unshare', '--uts', 'sh', '-c', `hostname ${name}; exec "$@"`, 'sh']
  }

  address(name: string, network = 0): string {
    return `${networks[network]}.${this.#names.indexOf(name) + 1}`
  }

  /**
   * Starts a program on the first host under mpirun.
   * @param slots the number of processes of each host, by name
   */
  run(slots: Readonly<Record<string, number>>, file: string, args: readonly string[]): Started {
    const network = `${networks[0]}.0/24`
    const ssh = ['-F', 'none', '-i', this.#path('user'), '-o', `UserKnownHostsFile=${this.#path('known')}`]
    const options = {
      mpi_yield_when_idle: '1',
      plm_rsh_args: [...ssh, '-o', 'StrictHostKeyChecking=yes'].join(' '),
      btl_tcp_if_include: network,
      oob_tcp_if_include: network,
      oob_tcp_keepalive_time: '1',
      oob_tcp_keepalive_intvl: '1',
      oob_tcp_keepalive_probes: '2',
    }
    const mpirun = [
      ...openMpi.command,
      ...['--bind-to', 'none', '-x', 'COCAGRAD_THREADS'],
      ...[
        '--host',
        Object.entries(slots)
          .map(([name, count]) => `${this.address(name)}:${count}`)
          .join(','),
      ],
      ...Object.entries(options).flatMap(([name, value]) => ['--mca', name, value]),
    ]
    const env = { ...process.env, COCAGRAD_THREADS: '1', NODE_TEST_CONTEXT: undefined }
    const command = [...this.#on(this.#names[0]), ...mpirun, ...nodeProgram(file), ...args]
    const child = spawn('ip', command, { cwd: ROOT, env })
    const timer = setTimeout(() => {
      for (const id of this.#names.flatMap(name => this.programs(name))) process.kill(id, 'SIGKILL')
    }, 120_000)
    return { process: child, ended: ended(child).finally(() => clearTimeout(timer)) }
  }

  /** Cuts a host off from both networks: what it sends is lost, and nobody is told. */
  cutOff(name: string): void {
    for (const [n] of networks.entries()) ip('-n', this.#space('switch'), 'link', 'set', `${name}${n}`, 'down')
  }

  /** Ends what {@link cutOff} did. */
  connect(name: string): void {
    for (const [n] of networks.entries()) ip('-n', this.#space('switch'), 'link', 'set', `${name}${n}`, 'up')
  }

  /** Kills all processes of a host, its sshd too. */
  kill(name: string): void {
    for (const id of this.processes(name)) process.kill(id, 'SIGKILL')
  }

  /** The processes of a host, without its sshd. */
  programs(name: string): number[] {
    const isSshd = (id: number) =>
      spawnSync('ps', ['-o', 'comm=', '-p', `${id}`], { encoding: 'utf8' }).stdout.startsWith('sshd')
    return this.processes(name).filter(id => !isSshd(id))
  }

  processes(name: string): number[] {
    return ip('netns', 'pids', this.#space(name)).split('\n').filter(Boolean).map(Number)
  }

  /** The bytes that a host has sent on a network. */
  sent(name: string, network: number): number {
    const [link] = JSON.parse(ip('-n', this.#space(name), '-s', '-j', 'link', 'show', `net${network}`))
    return link.stats64.tx.bytes
  }

  async close(): Promise<void> {
    for (const name of this.#names) this.kill(name)
    for (const name of [...this.#names, 'switch']) ip('netns', 'del', this.#space(name))
    await rm(this.#folder, { recursive: true })
  }
}
