/** Devices of one board, made from its description and wired to the ports, clock and lines of their owner. */

import { InvalidInput, type Unvalidated } from '../base/errors.ts';
import { list, record } from '../base/validate.ts';
import { DebugExit } from '../devices/debug-exit/debug-exit.ts';
import { Pic, type PicState } from '../devices/pic/pic.ts';
import { Pit, type PitState } from '../devices/pit/pit.ts';
import type { Clock, InterruptLine, SerialLine } from '../devices/ports.ts';
import { PowerOff, type PowerOffState } from '../devices/power-off/power-off.ts';
import { Uart, type UartState } from '../devices/uart/uart.ts';
import type { PortSpace } from '../mmu/port-space.ts';
import type { BoardDescription, DeviceDescription } from './board.ts';

/** What the owner of a board supplies. */
export interface BoardSurroundings {
  readonly ports: PortSpace;
  readonly clock: Clock;
  /** The wire from the interrupt controller to the processor. */
  readonly interrupt: InterruptLine;
  /** Serial lines in the order of the description; a port without one talks to nobody. */
  readonly serial?: readonly SerialLine[];
  readonly onPowerOff: () => void;
  readonly onDebugExit: (value: number) => void;
}

type DeviceState = {
  kind: 'pic' | 'pit' | 'uart' | 'power-off';
  state: PicState | PitState | UartState | PowerOffState;
};

/** State of all devices that have one, in the order of the description. */
export interface BoardState {
  devices: DeviceState[];
}

interface Saved {
  readonly kind: DeviceState['kind'];
  readonly device: {
    reset(): void;
    save(): DeviceState['state'];
    restore(state: Unvalidated<Record<string, unknown>>): void;
  };
}

export interface BoardDevices {
  /** The processor's interrupt acknowledge: the vector. */
  acknowledge(): number;
  /** Serial ports in the order of the description; `receive` is how bytes get in. */
  readonly serial: readonly Pick<Uart, 'receive' | 'waiting' | 'wantsInput'>[];
  reset(): void;
  save(): BoardState;
  /** The clock must show the time of the saved state, and hold no alarms of these devices' past. */
  restore(state: Unvalidated<BoardState>): void;
}

/** Makes the devices of `board` and puts them into `ports`. Throws InvalidInput if the description contradicts itself. */
export function instantiate(board: BoardDescription, around: BoardSurroundings): BoardDevices {
  const pic = new Pic(around.interrupt);
  const saved: Saved[] = [];
  const uarts: Uart[] = [];
  const usedLines = new Set<number>();

  const line = (device: DeviceDescription & { irq: number }): InterruptLine => {
    const { irq } = device;
    if (!Number.isInteger(irq) || irq < 0 || irq > 15 || irq === 2 || usedLines.has(irq)) {
      throw new InvalidInput(`board ${board.name}: interrupt line ${irq} of ${device.kind} is taken or does not exist`);
    }
    usedLines.add(irq);
    return pic.line(irq);
  };

  for (const device of board.devices) {
    switch (device.kind) {
      case 'pic':
        around.ports.add(device.master, 2, pic.master);
        around.ports.add(device.slave, 2, pic.slave);
        around.ports.add(device.elcr, 2, pic.elcr);
        saved.push({ kind: device.kind, device: pic });
        break;
      case 'pit': {
        const pit = new Pit(around.clock, line(device));
        around.ports.add(device.port, 4, pit);
        around.ports.add(device.systemControl, 1, pit.systemControl);
        saved.push({ kind: device.kind, device: pit });
        break;
      }
      case 'uart': {
        const uart = new Uart(line(device), around.serial?.[uarts.length] ?? { transmit: () => {} });
        around.ports.add(device.port, 8, uart);
        uarts.push(uart);
        saved.push({ kind: device.kind, device: uart });
        break;
      }
      case 'debug-exit':
        around.ports.add(device.port, 4, new DebugExit(around.onDebugExit));
        break;
      case 'power-off': {
        const powerOff = new PowerOff(around.onPowerOff);
        around.ports.add(device.port, 2, powerOff);
        saved.push({ kind: device.kind, device: powerOff });
        break;
      }
    }
  }

  return {
    acknowledge: () => pic.acknowledge(),
    serial: uarts,
    reset: () => {
      for (const { device } of saved) device.reset();
    },
    save: () => ({ devices: saved.map(({ kind, device }) => ({ kind, state: device.save() })) }),
    restore: (state) => {
      const states = list(state.devices, 'board.devices', saved.length, saved.length, record);
      states.forEach((entry, i) => {
        if (entry.kind !== saved[i].kind) {
          throw new InvalidInput(`board.devices[${i}] is not a ${saved[i].kind}: this state is of another board`);
        }
        saved[i].device.restore(record(entry.state, `board.devices[${i}].state`));
      });
    },
  };
}
