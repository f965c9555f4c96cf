/** One 8259A programmable interrupt controller.
 *  Reference: Intel 8259A data sheet (order number 231468), "Initialization Command Words", "Operation Command Words".
 *
 *  Left out: MCS-80/85 mode (ICW4.µPM is taken as set) and buffered mode, which is a matter of wires.
 *  ICW3 is remembered but does not rewire the board. */

import type { Unvalidated } from '../../base/errors.ts';
import { boolean, byte, integer } from '../../base/validate.ts';
import type { InterruptLine } from '../ports.ts';

// Register offsets
const A0_LOW = 0; // write: ICW1, OCW2, OCW3; read: IRR or ISR

// ICW1
const ICW1 = 0x10; // this bit tells it from the OCWs
const ICW1_IC4 = 0x01; // ICW4 will follow
const ICW1_SNGL = 0x02; // no cascade: no ICW3
const ICW1_LTIM = 0x08; // all inputs level triggered

// ICW4
const ICW4_AEOI = 0x02;
const ICW4_SFNM = 0x10; // special fully nested mode

// OCW2: bits 7:5
const OCW2_ROTATE_AEOI_CLEAR = 0;
const OCW2_EOI = 1;
const OCW2_SPECIFIC_EOI = 3;
const OCW2_ROTATE_AEOI_SET = 4;
const OCW2_ROTATE_EOI = 5;
const OCW2_SET_PRIORITY = 6;
const OCW2_ROTATE_SPECIFIC_EOI = 7;

// OCW3
const OCW3 = 0x08;
const OCW3_RIS = 0x01; // with RR: read ISR, else IRR
const OCW3_RR = 0x02;
const OCW3_POLL = 0x04;
const OCW3_SMM = 0x20;
const OCW3_ESMM = 0x40;

export interface ChipState {
  /** Levels of the inputs. */
  inputs: number;
  /** Rising edges that were seen and not acknowledged. */
  edges: number;
  imr: number;
  isr: number;
  /** Inputs that are level triggered by the board's ELCR. */
  elcr: number;
  levelTriggered: boolean;
  vectorBase: number;
  icw3: number;
  /** Which word of the initialisation sequence comes next: 2, 3, 4; 0: none, OCWs are accepted. */
  expecting: number;
  single: boolean;
  needsIcw4: boolean;
  autoEoi: boolean;
  rotateOnAutoEoi: boolean;
  fullyNested: boolean;
  specialMask: boolean;
  poll: boolean;
  readIsr: boolean;
  /** The input of lowest priority; the next one up has the highest. */
  lowest: number;
}

/** Power-on state. The data sheet leaves it open; nothing arrives before a kernel has programmed the chip. */
const powerOn = (vectorBase: number): ChipState => ({
  inputs: 0,
  edges: 0,
  imr: 0xff,
  isr: 0,
  elcr: 0,
  levelTriggered: false,
  vectorBase,
  icw3: 0,
  expecting: 0,
  single: false,
  needsIcw4: false,
  autoEoi: false,
  rotateOnAutoEoi: false,
  fullyNested: false,
  specialMask: false,
  poll: false,
  readIsr: false,
  lowest: 7,
});

export class PicChip {
  readonly #name: string;
  readonly #output: InterruptLine;
  readonly #vectorBase: number;
  #s: ChipState;

  constructor(name: string, output: InterruptLine, vectorBase: number) {
    this.#name = name;
    this.#output = output;
    this.#vectorBase = vectorBase;
    this.#s = powerOn(vectorBase);
  }

  get elcr(): number {
    return this.#s.elcr;
  }

  set elcr(mask: number) {
    this.#s.elcr = mask;
    this.#update();
  }

  setInput(input: number, level: boolean): void {
    const s = this.#s;
    const bit = 1 << input;
    if (level) {
      if (!(s.inputs & bit)) s.edges |= bit;
      s.inputs |= bit;
    } else {
      s.inputs &= ~bit;
      s.edges &= ~bit; // a request that goes away before INTA is not latched: INTA then finds nothing ("default IR7")
    }
    this.#update();
  }

  read(offset: number): number {
    const s = this.#s;
    if (s.poll) {
      s.poll = false;
      const input = this.#highestPending();
      if (input < 0) return 0;
      this.#service(input);
      return 0x80 | input;
    }
    if (offset !== A0_LOW) return s.imr;
    return s.readIsr ? s.isr : this.#requests;
  }

  write(offset: number, value: number): void {
    if (offset !== A0_LOW) this.#writeHigh(value);
    else if (value & ICW1) this.#initialise(value);
    else if (value & OCW3) this.#ocw3(value);
    else this.#ocw2(value >> 5, value & 7);
    this.#update();
  }

  /** INTA: the input that is now in service, or −1 if the request went away. */
  acknowledge(): number {
    const input = this.#highestPending();
    if (input >= 0) this.#service(input);
    return input;
  }

  vectorOf(input: number): number {
    return this.#s.vectorBase | input;
  }

  reset(): void {
    this.#s = { ...powerOn(this.#vectorBase), inputs: this.#s.inputs };
    this.#update();
  }

  save(): ChipState {
    return { ...this.#s };
  }

  restore(state: Unvalidated<ChipState>): void {
    const at = (field: keyof ChipState): string => `pic.${this.#name}.${field}`;
    const flag = (field: keyof ChipState): boolean => boolean(state[field], at(field));
    const mask = (field: keyof ChipState): number => byte(state[field], at(field));
    this.#s = {
      inputs: mask('inputs'),
      edges: mask('edges'),
      imr: mask('imr'),
      isr: mask('isr'),
      elcr: mask('elcr'),
      levelTriggered: flag('levelTriggered'),
      vectorBase: mask('vectorBase') & 0xf8,
      icw3: mask('icw3'),
      expecting: integer(state.expecting, at('expecting'), 0, 4),
      single: flag('single'),
      needsIcw4: flag('needsIcw4'),
      autoEoi: flag('autoEoi'),
      rotateOnAutoEoi: flag('rotateOnAutoEoi'),
      fullyNested: flag('fullyNested'),
      specialMask: flag('specialMask'),
      poll: flag('poll'),
      readIsr: flag('readIsr'),
      lowest: integer(state.lowest, at('lowest'), 0, 7),
    };
    this.#update();
  }

  get #requests(): number {
    const s = this.#s;
    const level = s.levelTriggered ? 0xff : s.elcr;
    return (s.inputs & level) | (s.edges & ~level);
  }

  /** The input that would be served now, or −1: the highest request that nothing in service blocks. */
  #highestPending(): number {
    const s = this.#s;
    const candidates = this.#requests & ~s.imr;
    const blocking = s.specialMask ? s.isr & ~s.imr : s.isr;
    if (candidates === 0) return -1;
    for (let rank = 1; rank <= 8; rank++) {
      const input = (s.lowest + rank) & 7;
      const bit = 1 << input;
      // Special fully nested: a slave that is in service may ask again for something more important.
      const blocks = (blocking & bit) !== 0;
      if (blocks && !(s.fullyNested && s.icw3 & bit)) return -1;
      if (candidates & bit) return input;
      if (blocks) return -1;
    }
    return -1;
  }

  #service(input: number): void {
    const s = this.#s;
    s.edges &= ~(1 << input);
    s.isr |= 1 << input;
    if (s.autoEoi) this.#endOfInterrupt(input, s.rotateOnAutoEoi);
    this.#update();
  }

  #endOfInterrupt(input: number, rotate: boolean): void {
    if (input < 0) return;
    this.#s.isr &= ~(1 << input);
    if (rotate) this.#s.lowest = input;
  }

  /** What a non-specific EOI means: the highest in service (special mask mode passes over masked ones). */
  #highestInService(): number {
    const s = this.#s;
    const isr = s.specialMask ? s.isr & ~s.imr : s.isr;
    for (let rank = 1; rank <= 8; rank++) {
      const input = (s.lowest + rank) & 7;
      if (isr & (1 << input)) return input;
    }
    return -1;
  }

  #initialise(icw1: number): void {
    const s = this.#s;
    Object.assign(s, {
      ...powerOn(s.vectorBase),
      inputs: s.inputs, // but a new rising edge is needed
      elcr: s.elcr,
      imr: 0,
      levelTriggered: (icw1 & ICW1_LTIM) !== 0,
      single: (icw1 & ICW1_SNGL) !== 0,
      needsIcw4: (icw1 & ICW1_IC4) !== 0,
      expecting: 2,
    });
  }

  #writeHigh(value: number): void {
    const s = this.#s;
    const afterIcw3 = s.needsIcw4 ? 4 : 0;
    switch (s.expecting) {
      case 2:
        s.vectorBase = value & 0xf8;
        s.expecting = s.single ? afterIcw3 : 3;
        return;
      case 3:
        s.icw3 = value;
        s.expecting = afterIcw3;
        return;
      case 4:
        s.autoEoi = (value & ICW4_AEOI) !== 0;
        s.fullyNested = (value & ICW4_SFNM) !== 0;
        s.expecting = 0;
        return;
      default:
        s.imr = value; // OCW1
    }
  }

  #ocw2(command: number, input: number): void {
    const s = this.#s;
    switch (command) {
      case OCW2_EOI:
      case OCW2_ROTATE_EOI:
        this.#endOfInterrupt(this.#highestInService(), command === OCW2_ROTATE_EOI);
        return;
      case OCW2_SPECIFIC_EOI:
      case OCW2_ROTATE_SPECIFIC_EOI:
        this.#endOfInterrupt(input, command === OCW2_ROTATE_SPECIFIC_EOI);
        return;
      case OCW2_SET_PRIORITY:
        s.lowest = input;
        return;
      case OCW2_ROTATE_AEOI_SET:
      case OCW2_ROTATE_AEOI_CLEAR:
        s.rotateOnAutoEoi = command === OCW2_ROTATE_AEOI_SET;
    }
  }

  #ocw3(value: number): void {
    const s = this.#s;
    if (value & OCW3_ESMM) s.specialMask = (value & OCW3_SMM) !== 0;
    if (value & OCW3_POLL) s.poll = true;
    else if (value & OCW3_RR) s.readIsr = (value & OCW3_RIS) !== 0;
  }

  #update(): void {
    this.#output.set(this.#highestPending() >= 0);
  }
}
