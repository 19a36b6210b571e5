//! Where to put a probe into a function, so that it costs the traced program little.
//!
//! The kernel emulates a few instructions of a probed place and must single-step all others, which takes about fifteen times as
//! long. So a probe goes to the first instruction that is emulated, if nothing before it changes what the probe looks at. Source: arch/x86/kernel/uprobes.c (branch_setup_insn, push_setup_insn).

use iced_x86::{
    Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpAccess, OpKind, Register,
};

/// Instructions looked at for a better place.
const LOOK_AHEAD: usize = 8;

/// Bytes of a function that are looked at.
pub const MAX_CODE: usize = 128 << 10;

/// Bytes of the stub of an imported function.
pub const MAX_STUB: usize = 16;

/// The registers that arguments come in: System V AMD64 ABI, section 3.2.3.
const ARGUMENTS: [Register; 6] =
    [Register::RDI, Register::RSI, Register::RDX, Register::RCX, Register::R8, Register::R9];

/// What must be at a probe as it was at the entry of its function.
#[derive(Debug, Clone, Copy)]
pub struct Needs<'a> {
    /// These arguments, counted from 0.
    pub arguments: &'a [u8],
    /// The stack pointer, as a uretprobe wants it; else it is told how far it moved.
    pub stack: bool,
}

/// Where a probe goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Site {
    /// From the function's begin.
    pub offset: u64,
    /// How far below its place at the entry the stack pointer is, in bytes.
    pub stack: u16,
}

/// Where a probe for the entry of a function goes.
pub fn entry(code: &[u8], needs: Needs<'_>) -> Site {
    cheaper(code, needs).unwrap_or_default()
}

fn cheaper(code: &[u8], needs: Needs<'_>) -> Option<Site> {
    let arguments = needs.arguments.iter().filter_map(|n| ARGUMENTS.get(usize::from(*n)).copied());
    let kept: Vec<Register> = arguments.collect();
    let mut decoder = Decoder::with_ip(64, code, 0, DecoderOptions::NONE);
    let mut factory = InstructionInfoFactory::new();
    let mut stack: i32 = 0;
    for _ in 0..LOOK_AHEAD {
        let instruction = decoder.decode();
        if instruction.is_invalid() {
            return None;
        }
        if is_emulated(&instruction) {
            let offset = instruction.ip();
            let stack = u16::try_from(stack).ok()?;
            return (!is_jumped_to(code, offset)).then_some(Site { offset, stack });
        }
        if instruction.flow_control() != FlowControl::Next {
            return None;
        }
        let moved = stack_move(&instruction)?;
        if (moved != 0 && needs.stack) || changes(&mut factory, &instruction, &kept, moved != 0) {
            return None;
        }
        stack += moved;
    }
    None
}

/// How far an instruction moves the stack pointer down; `None` when that cannot be determined.
fn stack_move(instruction: &Instruction) -> Option<i32> {
    if instruction.mnemonic() == Mnemonic::Sub && instruction.op0_register() == Register::RSP {
        let is_constant = matches!(instruction.op1_kind(), OpKind::Immediate8to64 | OpKind::Immediate32to64);
        return is_constant.then(|| i32::try_from(instruction.immediate(1)).ok()).flatten();
    }
    match instruction.mnemonic() {
        Mnemonic::Push => Some(8),
        _ if instruction.op0_register() == Register::RSP && instruction.op0_kind() == OpKind::Register => None,
        _ => Some(-instruction.stack_pointer_increment()),
    }
}

fn is_emulated(instruction: &Instruction) -> bool {
    match instruction.flow_control() {
        FlowControl::ConditionalBranch | FlowControl::UnconditionalBranch | FlowControl::Call => {
            instruction.is_jcc_short_or_near() || instruction.is_jmp_short_or_near() || instruction.is_call_near()
        }
        FlowControl::Next => {
            instruction.mnemonic() == Mnemonic::Push && instruction.op0_register().is_gpr64()
                || instruction.mnemonic() == Mnemonic::Nop && instruction.len() == 1
        }
        _ => false,
    }
}

/// Whether one of these registers, or memory other than the stack's new part, is not afterwards as it was.
fn changes(factory: &mut InstructionInfoFactory, instruction: &Instruction, kept: &[Register], pushes: bool) -> bool {
    let writes = |access: OpAccess| {
        !matches!(access, OpAccess::None | OpAccess::Read | OpAccess::CondRead | OpAccess::NoMemAccess)
    };
    let info = factory.info(instruction);
    (!pushes && info.used_memory().iter().any(|memory| writes(memory.access())))
        || info
            .used_registers()
            .iter()
            .any(|used| writes(used.access()) && kept.contains(&used.register().full_register()))
}

/// Whether the function jumps back to where the probe would be.
fn is_jumped_to(code: &[u8], at: u64) -> bool {
    at != 0
        && Decoder::with_ip(64, code, 0, DecoderOptions::NONE).into_iter().any(|instruction| {
            matches!(instruction.flow_control(), FlowControl::ConditionalBranch | FlowControl::UnconditionalBranch)
                && (1..=at).contains(&instruction.near_branch_target())
        })
}

/// Offsets of all return instructions; `None` when the function also ends in another way that cannot be probed.
pub fn exits(code: &[u8]) -> Option<Vec<u64>> {
    let mut exits = Vec::new();
    let end = u64::try_from(code.len()).ok()?;
    for instruction in Decoder::with_ip(64, code, 0, DecoderOptions::NONE) {
        match instruction.flow_control() {
            _ if instruction.is_invalid() => return None,
            FlowControl::Return => exits.push(instruction.ip()),
            // Into another function, which then returns to our caller.
            FlowControl::UnconditionalBranch | FlowControl::ConditionalBranch
                if instruction.near_branch_target() >= end =>
            {
                return None;
            }
            FlowControl::IndirectBranch => return None,
            _ => {}
        }
    }
    (!exits.is_empty()).then_some(exits)
}

/// Where the address is that the stub of an imported function jumps to: System V AMD64 ABI, section 5.2.
pub fn slot_of_stub(code: &[u8], address: u64) -> Option<u64> {
    let mut decoder = Decoder::with_ip(64, code, address, DecoderOptions::NONE);
    let jump = decoder.iter().find(|instruction| instruction.mnemonic() != Mnemonic::Endbr64)?;
    let is_through_slot = jump.flow_control() == FlowControl::IndirectBranch && jump.is_ip_rel_memory_operand();
    is_through_slot.then(|| jump.ip_rel_memory_address())
}

/// Where a function that begins at `address` jumps to that is not in it.
pub fn jumps_out(code: &[u8], address: u64) -> Vec<u64> {
    let end = address.saturating_add(u64::try_from(code.len()).unwrap_or(u64::MAX));
    let mut decoder = Decoder::with_ip(64, code, address, DecoderOptions::NONE);
    let is_jump = |instruction: &Instruction| {
        matches!(instruction.flow_control(), FlowControl::ConditionalBranch | FlowControl::UnconditionalBranch)
    };
    let mut targets: Vec<u64> =
        decoder.iter().filter(is_jump).map(|instruction| instruction.near_branch_target()).collect();
    targets.retain(|target| !(address..end).contains(target));
    targets
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(code: &[u8], arguments: &[u8], stack: bool) -> (u64, u16) {
        let site = entry(code, Needs { arguments, stack });
        (site.offset, site.stack)
    }

    #[test]
    fn jumps_into_other_functions_are_found() {
        // mov $1,%r9d; jmp +0x10: EVP_EncryptInit_ex of OpenSSL 1.1.1 to 4.0
        let code = [0x41, 0xb9, 1, 0, 0, 0, 0xe9, 0x10, 0, 0, 0];
        assert_eq!(jumps_out(&code, 0x1000), [0x101b]);
        // je +0; jmp -2 (itself); ret
        assert_eq!(jumps_out(&[0x74, 0, 0xeb, 0xfe, 0xc3], 0x1000), [0u64; 0]);
        assert_eq!(jumps_out(&[], u64::MAX), [0u64; 0]);
        // jmp *0x10(%rip); the same after endbr64 and with bnd; jmp *%rax
        assert_eq!(slot_of_stub(&[0xff, 0x25, 0x10, 0, 0, 0], 0x1000), Some(0x1016));
        assert_eq!(slot_of_stub(&[0xf3, 0x0f, 0x1e, 0xfa, 0xf2, 0xff, 0x25, 0x10, 0, 0, 0], 0x1000), Some(0x101b));
        assert_eq!((slot_of_stub(&[0xff, 0xe0], 0), slot_of_stub(&[], 0)), (None, None));
    }

    #[test]
    fn a_probe_goes_where_it_is_cheap() {
        // push %rbx; sub $0x30,%rsp
        assert_eq!(at(&[0x53, 0x48, 0x83, 0xec, 0x30], &[0, 1, 2], true), (0, 0));
        // endbr64; push %rbp; ret
        assert_eq!(at(&[0xf3, 0x0f, 0x1e, 0xfa, 0x55, 0xc3], &[0], true), (4, 0));
        // endbr64; push %r12; ret
        assert_eq!(at(&[0xf3, 0x0f, 0x1e, 0xfa, 0x41, 0x54, 0xc3], &[0], true), (4, 0));
        // cmpq $0,0x30(%rdi); je +9; ret
        assert_eq!(at(&[0x48, 0x83, 0x7f, 0x30, 0x00, 0x74, 0x09, 0xc3], &[0], true), (5, 0));
        // mov %rdx,%rcx; xor %edx,%edx; jmp: good for the first two arguments
        let digest_init = [0x48, 0x89, 0xd1, 0x31, 0xd2, 0xe9, 0xc6, 0xf8, 0xff, 0xff];
        assert_eq!(at(&digest_init, &[0, 1], true), (5, 0));
        assert_eq!(at(&digest_init, &[0, 2], true), (0, 0));
    }

    #[test]
    fn the_stack_may_move_where_that_is_told() {
        // sub $0x10,%rsp; push $0; call
        let cipher_init = [0x48, 0x83, 0xec, 0x10, 0x6a, 0x00, 0xe8, 0, 0, 0, 0];
        assert_eq!(at(&cipher_init, &[0, 1], false), (6, 0x18));
        assert_eq!(at(&cipher_init, &[0, 1], true), (0, 0));
        // lea -0x10(%rsp),%rsp; push %rbx: not followed
        assert_eq!(at(&[0x48, 0x8d, 0x64, 0x24, 0xf0, 0x53], &[0], false), (0, 0));
    }

    #[test]
    fn never_where_an_argument_has_changed() {
        // mov %esi,%edi; push %rbp; ret
        assert_eq!(at(&[0x89, 0xf7, 0x55, 0xc3], &[0], false), (0, 0));
        // mov %rax,(%rsi); push %rbp: what an argument points to
        assert_eq!(at(&[0x48, 0x89, 0x06, 0x55], &[0], false), (0, 0));
        // endbr64; push %rbp; jmp back to the push: it would be counted again
        assert_eq!(at(&[0xf3, 0x0f, 0x1e, 0xfa, 0x55, 0xeb, 0xfd], &[0], true), (0, 0));
        assert_eq!(at(&[], &[0], true), (0, 0));
    }

    #[test]
    fn all_ways_out_or_none() {
        // test %edi,%edi; je +1; ret; ret
        assert_eq!(exits(&[0x85, 0xff, 0x74, 0x01, 0xc3, 0xc3]), Some(vec![4, 5]));
        // jmp out
        assert_eq!(exits(&[0xc3, 0xe9, 0, 1, 0, 0]), None);
        // jmp *%rax
        assert_eq!(exits(&[0xc3, 0xff, 0xe0]), None);
    }
}
