//! An assembler for the few BPF instructions that the gate needs.
//!
//! The encoding is that of `Documentation/bpf/standardization/instruction-set.rst` in the kernel.

/// A register. `R1`–`R5` carry arguments and do not survive a call, `R6`–`R9` do, `R10` is the frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Reg {
    R0,
    R1,
    R2,
    R3,
    R4,
    R5,
    R6,
    R7,
    R8,
    R9,
    R10,
}

/// How wide a load or store is.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub(super) enum Size {
    Word = 0x00,
    Half = 0x08,
    Byte = 0x10,
    Double = 0x18,
}

/// When a jump is taken.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub(super) enum If {
    Equal = 0x10,
    NotEqual = 0x50,
    Less = 0xa0,
}

/// A kernel function that a program may call (`enum bpf_func_id`).
#[derive(Clone, Copy, Debug)]
#[repr(i32)]
pub(super) enum Helper {
    MapLookup = 1,
    SkbLoadBytes = 26,
    SkbPullData = 39,
    SkbLoadBytesRelative = 68,
    KtimeGetBootNs = 125,
}

/// One instruction, as the kernel reads it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub(super) struct Instruction {
    opcode: u8,
    registers: u8,
    offset: i16,
    immediate: i32,
}

/// A place in the program that jumps can name before it is reached.
#[derive(Clone, Copy, Debug)]
pub(super) struct Label(usize);

/// Collects instructions; jumps are resolved by [`Assembler::finish`].
#[derive(Default)]
pub(super) struct Assembler {
    code: Vec<Instruction>,
    labels: Vec<Option<usize>>,
    jumps: Vec<(usize, Label)>,
}

impl Assembler {
    /// A new place, to be put somewhere with [`Assembler::place`].
    pub(super) fn label(&mut self) -> Label {
        self.labels.push(None);
        Label(self.labels.len() - 1)
    }

    /// The place is here.
    pub(super) fn place(&mut self, label: Label) {
        self.labels[label.0] = Some(self.code.len());
    }

    /// `to = from`
    pub(super) fn copy(&mut self, to: Reg, from: Reg) {
        self.emit(0xbf, to, from, 0, 0);
    }

    /// `to = value`
    pub(super) fn set(&mut self, to: Reg, value: i32) {
        self.emit(0xb7, to, Reg::R0, 0, value);
    }

    /// `to += value`
    pub(super) fn add(&mut self, to: Reg, value: i32) {
        self.emit(0x07, to, Reg::R0, 0, value);
    }

    /// `to += from`
    pub(super) fn add_reg(&mut self, to: Reg, from: Reg) {
        self.emit(0x0f, to, from, 0, 0);
    }

    /// `to = *(base + offset)`
    pub(super) fn load(&mut self, size: Size, to: Reg, base: Reg, offset: i16) {
        self.emit(0x61 | size as u8, to, base, offset, 0);
    }

    /// `*(base + offset) = from`
    pub(super) fn store(&mut self, size: Size, base: Reg, offset: i16, from: Reg) {
        self.emit(0x63 | size as u8, base, from, offset, 0);
    }

    /// `*(base + offset) = value`
    pub(super) fn store_value(&mut self, size: Size, base: Reg, offset: i16, value: i32) {
        self.emit(0x62 | size as u8, base, Reg::R0, offset, value);
    }

    /// `*(u64 *)(base + offset) += from`, atomically
    pub(super) fn atomic_add(&mut self, base: Reg, offset: i16, from: Reg) {
        self.emit(0xdb, base, from, offset, 0);
    }

    /// `to = the map behind this descriptor`
    pub(super) fn map(&mut self, to: Reg, descriptor: i32) {
        const PSEUDO_MAP_FD: Reg = Reg::R1;
        self.emit(0x18, to, PSEUDO_MAP_FD, 0, descriptor);
        self.emit(0, Reg::R0, Reg::R0, 0, 0);
    }

    /// `R0 = helper(R1, …)`
    pub(super) fn call(&mut self, helper: Helper) {
        self.emit(0x85, Reg::R0, Reg::R0, 0, helper as i32);
    }

    /// Goes there.
    pub(super) fn jump(&mut self, label: Label) {
        self.jumps.push((self.code.len(), label));
        self.emit(0x05, Reg::R0, Reg::R0, 0, 0);
    }

    /// Goes there if `left` compares so with `value` (unsigned).
    pub(super) fn jump_if(&mut self, left: Reg, when: If, value: i32, label: Label) {
        self.jumps.push((self.code.len(), label));
        self.emit(0x05 | when as u8, left, Reg::R0, 0, value);
    }

    /// Goes there if `left` compares so with `right` (unsigned).
    pub(super) fn jump_if_reg(&mut self, left: Reg, when: If, right: Reg, label: Label) {
        self.jumps.push((self.code.len(), label));
        self.emit(0x0d | when as u8, left, right, 0, 0);
    }

    /// Ends with this verdict.
    pub(super) fn exit(&mut self, verdict: i32) {
        self.set(Reg::R0, verdict);
        self.emit(0x95, Reg::R0, Reg::R0, 0, 0);
    }

    /// The program.
    pub(super) fn finish(mut self) -> Vec<Instruction> {
        for (at, label) in self.jumps {
            let target = self.labels[label.0].expect("every label is placed");
            let distance = i64::try_from(target).unwrap_or(i64::MAX)
                - i64::try_from(at).unwrap_or(i64::MAX)
                - 1;
            self.code[at].offset = i16::try_from(distance).expect("a program of few instructions");
        }
        self.code
    }

    fn emit(&mut self, opcode: u8, to: Reg, from: Reg, offset: i16, immediate: i32) {
        self.code.push(Instruction {
            opcode,
            registers: (from as u8) << 4 | to as u8,
            offset,
            immediate,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jumps_reach_their_labels_forwards_and_backwards() {
        let mut asm = Assembler::default();
        let (start, end) = (asm.label(), asm.label());
        asm.place(start);
        asm.jump_if(Reg::R1, If::Equal, 7, end);
        asm.jump(start);
        asm.place(end);
        asm.exit(-1);
        let code = asm.finish();
        assert_eq!((code[0].opcode, code[0].offset), (0x15, 1));
        assert_eq!((code[1].opcode, code[1].offset), (0x05, -2));
        assert_eq!((code[2].opcode, code[2].immediate), (0xb7, -1));
    }

    #[test]
    fn a_load_is_encoded_as_the_kernel_documents_it() {
        let mut asm = Assembler::default();
        asm.load(Size::Double, Reg::R2, Reg::R10, -8);
        asm.store(Size::Word, Reg::R10, -4, Reg::R3);
        let code = asm.finish();
        assert_eq!((code[0].opcode, code[0].registers), (0x79, 0xa2));
        assert_eq!((code[1].opcode, code[1].registers), (0x63, 0x3a));
    }
}
