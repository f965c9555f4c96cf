/** 16550A UART: serial port with FIFOs.
 *  Reference: National Semiconductor PC16550D data sheet, section 8, "Registers".
 *
 *  Sending takes no time: a byte is on the line before OUT retires, so the transmitter is always empty.
 *  Receiving takes none either, but the far end waits while there is no room, as with hardware handshake: input
 *  overruns only in loopback. Interrupts are not gated by OUT2, because kernels exist that rely on that. */

import type { Unvalidated } from '../../base/errors.ts';
import { boolean, byte, integer, list } from '../../base/validate.ts';
import type { InterruptLine, PortDevice, SerialLine } from '../ports.ts';

// Register offsets
const RBR = 0; // receiver buffer (read), transmitter holding (write); divisor latch low while DLAB
const IER = 1; // interrupt enable; divisor latch high while DLAB
const IIR = 2; // interrupt identification (read), FIFO control (write)
const LCR = 3; // line control
const MCR = 4; // modem control
const LSR = 5; // line status
const MSR = 6; // modem status
const SCR = 7; // scratch

// Interrupt enable
const IER_RDA = 0x01; // received data available
const IER_THRE = 0x02; // transmitter holding register empty
const IER_RLS = 0x04; // receiver line status
const IER_MS = 0x08; // modem status
const IER_MASK = 0x0f;

// Interrupt identification, highest priority first
const IIR_RLS = 0x06;
const IIR_RDA = 0x04;
const IIR_TIMEOUT = 0x0c; // characters wait below the trigger level
const IIR_THRE = 0x02;
const IIR_MS = 0x00;
const IIR_NONE = 0x01;
const IIR_FIFOS = 0xc0; // FIFOs are enabled

// FIFO control
const FCR_ENABLE = 0x01;
const FCR_CLEAR_RX = 0x02;
const FCR_STORED = 0xc9; // what is remembered: enable, DMA mode, trigger level
const TRIGGER_LEVELS = [1, 4, 8, 14];
const FIFO_DEPTH = 16;

const LCR_DLAB = 0x80;

// Modem control
const MCR_DTR = 0x01;
const MCR_RTS = 0x02;
const MCR_OUT1 = 0x04;
const MCR_OUT2 = 0x08;
const MCR_LOOP = 0x10;
const MCR_MASK = 0x1f;

// Line status
const LSR_DR = 0x01; // data ready
const LSR_OE = 0x02; // overrun
const LSR_THRE = 0x20; // transmitter holding register empty
const LSR_TEMT = 0x40; // transmitter empty

// Modem status: inputs in bits 7:4, changes since the last read in bits 3:0
const MSR_CTS = 0x10;
const MSR_DSR = 0x20;
const MSR_RI = 0x40;
const MSR_DCD = 0x80;
/** Inputs while not in loopback: somebody is there and ready. */
const CONNECTED = MSR_CTS | MSR_DSR | MSR_DCD;

/** A guest that never reads must not make the host hold more than this. */
const MAX_WAITING = 0x10_0000;

export interface UartState {
  ier: number;
  fcr: number;
  lcr: number;
  mcr: number;
  msr: number;
  scratch: number;
  divisorLow: number;
  divisorHigh: number;
  overrun: boolean;
  /** The THRE interrupt is due: the holding register became empty since it was last identified. */
  thrEmptied: boolean;
  received: number[];
  /** Bytes that the far end has not been able to send yet. */
  waiting: number[];
}

const afterReset = (): UartState => ({
  ier: 0,
  fcr: 0,
  lcr: 0,
  mcr: 0,
  msr: CONNECTED,
  scratch: 0,
  divisorLow: 12, // 9600 baud
  divisorHigh: 0,
  overrun: false,
  thrEmptied: false,
  received: [],
  waiting: [],
});

export class Uart implements PortDevice {
  readonly #irq: InterruptLine;
  readonly #line: SerialLine;
  #s: UartState = afterReset();

  constructor(irq: InterruptLine, line: SerialLine) {
    this.#irq = irq;
    this.#line = line;
  }

  read(offset: number): number {
    const s = this.#s;
    switch (offset) {
      case RBR:
        return s.lcr & LCR_DLAB ? s.divisorLow : this.#take();
      case IER:
        return s.lcr & LCR_DLAB ? s.divisorHigh : s.ier;
      case IIR: {
        const cause = this.#cause();
        if (cause === IIR_THRE) s.thrEmptied = false; // reading it, as the source, is what resets it
        this.#update();
        return cause | (s.fcr & FCR_ENABLE ? IIR_FIFOS : 0);
      }
      case LCR:
        return s.lcr;
      case MCR:
        return s.mcr;
      case LSR: {
        const status = LSR_THRE | LSR_TEMT | (s.received.length > 0 ? LSR_DR : 0) | (s.overrun ? LSR_OE : 0);
        s.overrun = false;
        this.#update();
        return status;
      }
      case MSR: {
        const status = s.msr;
        s.msr &= 0xf0;
        this.#update();
        return status;
      }
      default:
        return s.scratch;
    }
  }

  write(offset: number, value: number): void {
    const s = this.#s;
    switch (offset) {
      case RBR:
        if (s.lcr & LCR_DLAB) s.divisorLow = value;
        else this.#transmit(value);
        return;
      case IER:
        if (s.lcr & LCR_DLAB) {
          s.divisorHigh = value;
          return;
        }
        if (value & ~s.ier & IER_THRE) s.thrEmptied = true; // enabling it while the register is empty raises it
        s.ier = value & IER_MASK;
        break;
      case IIR:
        this.#controlFifos(value);
        break;
      case LCR:
        s.lcr = value;
        return;
      case MCR:
        s.mcr = value & MCR_MASK;
        this.#modemInputs();
        this.#refill();
        break;
      case SCR:
        s.scratch = value;
        return;
      default: // LSR is for factory tests only, MSR is read-only
        return;
    }
    this.#update();
  }

  /** Bytes from the far end. They wait on its side while there is no room. */
  receive(bytes: Iterable<number>): void {
    for (const value of bytes) if (this.#s.waiting.length < MAX_WAITING) this.#s.waiting.push(value & 0xff);
    this.#refill();
    this.#update();
  }

  /** Bytes that have not reached the receiver yet. */
  get waiting(): number {
    return this.#s.waiting.length;
  }

  /** Software wants to hear of received bytes by interrupt. */
  get wantsInput(): boolean {
    return (this.#s.ier & IER_RDA) !== 0;
  }

  reset(): void {
    this.#s = { ...afterReset(), waiting: this.#s.waiting };
    this.#update();
  }

  save(): UartState {
    return { ...this.#s, received: [...this.#s.received], waiting: [...this.#s.waiting] };
  }

  /** Takes over a saved state; the interrupt line is left alone, its other end restores its level itself. */
  restore(state: Unvalidated<UartState>): void {
    this.#s = {
      ier: integer(state.ier, 'uart.ier', 0, IER_MASK),
      fcr: byte(state.fcr, 'uart.fcr') & FCR_STORED,
      lcr: byte(state.lcr, 'uart.lcr'),
      mcr: integer(state.mcr, 'uart.mcr', 0, MCR_MASK),
      msr: byte(state.msr, 'uart.msr'),
      scratch: byte(state.scratch, 'uart.scratch'),
      divisorLow: byte(state.divisorLow, 'uart.divisorLow'),
      divisorHigh: byte(state.divisorHigh, 'uart.divisorHigh'),
      overrun: boolean(state.overrun, 'uart.overrun'),
      thrEmptied: boolean(state.thrEmptied, 'uart.thrEmptied'),
      received: list(state.received, 'uart.received', 0, FIFO_DEPTH, byte),
      waiting: list(state.waiting, 'uart.waiting', 0, MAX_WAITING, byte),
    };
  }

  #take(): number {
    const value = this.#s.received.shift() ?? 0;
    this.#update(); // the line falls before the next character raises it again
    this.#refill();
    this.#update();
    return value;
  }

  #transmit(value: number): void {
    const s = this.#s;
    s.thrEmptied = false;
    this.#update();
    if (s.mcr & MCR_LOOP) this.#arrive(value);
    else this.#line.transmit(value);
    s.thrEmptied = true;
    this.#update();
  }

  /** A character reaches the receiver. When full, a FIFO loses the new character, a lone register the old one. */
  #arrive(value: number): void {
    const s = this.#s;
    if (s.received.length < this.#depth) s.received.push(value);
    else {
      s.overrun = true;
      if (this.#depth === 1) s.received[0] = value;
    }
  }

  get #depth(): number {
    return this.#s.fcr & FCR_ENABLE ? FIFO_DEPTH : 1;
  }

  #refill(): void {
    const s = this.#s;
    if (s.mcr & MCR_LOOP || s.waiting.length === 0) return;
    const room = this.#depth - s.received.length;
    if (room > 0) s.received.push(...s.waiting.splice(0, room));
  }

  #controlFifos(value: number): void {
    const s = this.#s;
    const switched = (value ^ s.fcr) & FCR_ENABLE;
    if (switched || (value & FCR_ENABLE && value & FCR_CLEAR_RX)) s.received.length = 0;
    s.fcr = value & FCR_ENABLE ? value & FCR_STORED : 0; // the other bits are programmed only together with bit 0
    this.#refill();
  }

  /** Loopback turns the modem-control outputs round to the status inputs. */
  #modemInputs(): void {
    const s = this.#s;
    const m = s.mcr;
    const inputs =
      m & MCR_LOOP
        ? (m & MCR_RTS ? MSR_CTS : 0) |
          (m & MCR_DTR ? MSR_DSR : 0) |
          (m & MCR_OUT1 ? MSR_RI : 0) |
          (m & MCR_OUT2 ? MSR_DCD : 0)
        : CONNECTED;
    const changed = (inputs ^ s.msr) & 0xf0;
    const ringEnded = changed & MSR_RI && !(inputs & MSR_RI) ? MSR_RI : 0; // only the trailing edge of RI counts
    s.msr = inputs | (s.msr & 0x0f) | (((changed & ~MSR_RI) | ringEnded) >> 4);
  }

  #cause(): number {
    const s = this.#s;
    const trigger = s.fcr & FCR_ENABLE ? TRIGGER_LEVELS[s.fcr >> 6] : 1;
    if (s.ier & IER_RLS && s.overrun) return IIR_RLS;
    if (s.ier & IER_RDA && s.received.length >= trigger) return IIR_RDA;
    if (s.ier & IER_RDA && s.received.length > 0) return IIR_TIMEOUT;
    if (s.ier & IER_THRE && s.thrEmptied) return IIR_THRE;
    if (s.ier & IER_MS && s.msr & 0x0f) return IIR_MS;
    return IIR_NONE;
  }

  #update(): void {
    this.#irq.set(this.#cause() !== IIR_NONE);
  }
}
