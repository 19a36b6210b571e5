//! Where in a library's objects a number is, told by the library's own accessor functions: their machine code is followed, and
//! what they read is the answer. Nothing is executed, nothing is guessed: code that does anything but load, compare and branch
//! has no answer.

use crypto_trace_bpf::{Accessor, Guard};
use iced_x86::{ConditionCode, Decoder, DecoderOptions, FlowControl, Instruction, Mnemonic, OpKind, Register};

/// Instructions followed on one path.
const MAX_STEPS: usize = 64;

/// Paths followed at once, and in all.
const MAX_PATHS: usize = 32;

/// What a register holds.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    /// Pointers at `offsets` were followed from the argument; the value is what that led to, plus `add`. With no offsets, the
    /// argument.
    Pointer {
        offsets: Vec<i64>,
        add: i64,
    },
    /// A number loaded from there, plus `add`.
    Number {
        at: Vec<i64>,
        size: u8,
        add: i64,
    },
    Constant(i64),
    Unknown,
}

/// A condition under which a path is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Condition {
    at: Vec<i64>,
    size: u8,
    add: i64,
    code: ConditionCode,
    value: i64,
}

/// What the last comparison compared.
#[derive(Debug, Clone)]
struct Compared {
    left: Value,
    right: Value,
    /// `test` rather than `cmp`.
    test: bool,
}

#[derive(Debug, Clone)]
struct Path {
    ip: u64,
    registers: [Value; 16],
    compared: Option<Compared>,
    conditions: Vec<Condition>,
    steps: usize,
}

/// What the accessor function with this code returns of its only argument, a pointer: where it is. `code` begins at `address`;
/// x86-64. `None` when that cannot be determined for sure.
pub fn decode(code: &[u8], address: u64) -> Option<Accessor> {
    let argument = Value::Pointer { offsets: Vec::new(), add: 0 };
    let mut found: Vec<Accessor> = Vec::new();
    for path in ends(code, address, argument)? {
        if let Some(accessor) = result(&path)
            && !found.contains(&accessor)
        {
            found.push(accessor);
        }
    }
    // Of several kinds of object only the one whose number is nearest is known; the guard tells it from the others.
    found.sort_by_key(|accessor| accessor.offsets.len());
    match found.as_slice() {
        [one] => Some(one.clone()),
        [first, second, ..] if first.guard.is_some() && first.offsets.len() < second.offsets.len() => {
            Some(first.clone())
        }
        _ => None,
    }
}

/// The address that the function with this code returns when it is given null, as functions do that tell a version.
pub fn decode_address(code: &[u8], address: u64) -> Option<u64> {
    let ends = ends(code, address, Value::Constant(0))?;
    let [path] = ends.as_slice() else { return None };
    match path.registers.get(index(Register::RAX)?)? {
        Value::Constant(address) => u64::try_from(*address).ok(),
        _ => None,
    }
}

/// All paths that end in a return, as they are there; `None` when there are too many.
fn ends(code: &[u8], address: u64, argument: Value) -> Option<Vec<Path>> {
    let mut registers = [const { Value::Unknown }; 16];
    registers[index(Register::RDI)?] = argument;
    let first = Path { ip: address, registers, compared: None, conditions: Vec::new(), steps: 0 };
    let mut paths = vec![first];
    let mut ends = Vec::new();
    let mut budget = MAX_PATHS;
    while let Some(path) = paths.pop() {
        budget = budget.checked_sub(1)?;
        ends.extend(follow(path, code, address, &mut paths));
    }
    Some(ends)
}

/// One accessor applied to what another returns.
pub fn join(first: Accessor, second: &Accessor) -> Option<Accessor> {
    if second.guard.is_some() {
        return None;
    }
    let mut offsets = first.offsets;
    offsets.extend(&second.offsets);
    (offsets.len() <= Accessor::MAX_STEPS).then_some(Accessor { offsets, size: second.size, guard: first.guard })
}

fn index(register: Register) -> Option<usize> {
    register.is_gpr().then(|| register.full_register().number())
}

/// Follows one path to its end; branches add paths.
fn follow(mut path: Path, code: &[u8], address: u64, paths: &mut Vec<Path>) -> Option<Path> {
    while path.steps < MAX_STEPS {
        path.steps += 1;
        let at = usize::try_from(path.ip.checked_sub(address)?).ok()?;
        let mut decoder = Decoder::with_ip(64, code.get(at..)?, path.ip, DecoderOptions::NONE);
        let instruction = decoder.decode();
        if instruction.is_invalid() {
            return None;
        }
        let next = instruction.next_ip();
        match instruction.flow_control() {
            FlowControl::Next => step(&mut path, &instruction)?,
            FlowControl::Return => return Some(path),
            FlowControl::UnconditionalBranch => {
                path.ip = instruction.near_branch_target();
                continue;
            }
            FlowControl::ConditionalBranch => {
                let code = instruction.condition_code();
                let mut taken = path.clone();
                taken.ip = instruction.near_branch_target();
                if assume(&mut taken, code) {
                    paths.push(taken);
                }
                let mut not_taken = instruction;
                not_taken.negate_condition_code();
                if !assume(&mut path, not_taken.condition_code()) {
                    return None;
                }
            }
            _ => return None,
        }
        path.ip = next;
    }
    None
}

/// Adds what a branch says to the conditions of a path; false: it cannot be, or cannot be determined.
fn assume(path: &mut Path, code: ConditionCode) -> bool {
    let Some(Compared { left, right, test }) = path.compared.clone() else { return false };
    match (left, right) {
        // Whether a pointer is null: followed pointers are checked anyway, and null leads nowhere.
        (Value::Pointer { .. }, right) if test || right == Value::Constant(0) => {
            matches!(code, ConditionCode::ne | ConditionCode::a | ConditionCode::s | ConditionCode::ns)
        }
        (left @ Value::Number { .. }, right) if test => {
            if left != right {
                return false;
            }
            push_condition(path, left, code, 0)
        }
        (left @ Value::Number { .. }, Value::Constant(value)) => push_condition(path, left, code, value),
        (Value::Constant(left), Value::Constant(right)) => {
            holds(code, if test { left & right } else { left }, if test { 0 } else { right })
        }
        _ => false,
    }
}

fn push_condition(path: &mut Path, number: Value, code: ConditionCode, value: i64) -> bool {
    let Value::Number { at, size, add } = number else { return false };
    path.conditions.push(Condition { at, size, add, code, value });
    true
}

fn holds(code: ConditionCode, left: i64, right: i64) -> bool {
    #[allow(clippy::cast_sign_loss, clippy::cast_possible_truncation, reason = "32 bits are compared without sign")]
    let (a, b) = (left as u32, right as u32);
    match code {
        ConditionCode::e => a == b,
        ConditionCode::ne => a != b,
        ConditionCode::b => a < b,
        ConditionCode::be => a <= b,
        ConditionCode::a => a > b,
        ConditionCode::ae => a >= b,
        ConditionCode::l => left < right,
        ConditionCode::le => left <= right,
        ConditionCode::g => left > right,
        ConditionCode::ge => left >= right,
        ConditionCode::s => left < right,
        ConditionCode::ns => left >= right,
        _ => false,
    }
}

/// What a path returns, when its conditions can be checked.
fn result(path: &Path) -> Option<Accessor> {
    let (at, size) = match &path.registers[index(Register::RAX)?] {
        Value::Number { at, size, add: 0 } => (at, *size),
        Value::Pointer { offsets, add: 0 } if !offsets.is_empty() => (offsets, 8),
        _ => return None,
    };
    let offsets = at.iter().map(|offset| u16::try_from(*offset).ok()).collect::<Option<Vec<_>>>()?;
    if offsets.len() > Accessor::MAX_STEPS || !matches!(size, 2 | 4 | 8) {
        return None;
    }
    let guard = match path.conditions.iter().find(|condition| condition.code == ConditionCode::e) {
        None if path.conditions.is_empty() => None,
        None => return None,
        Some(equal) => {
            let [offset] = equal.at.as_slice() else { return None };
            let value = equal.value.checked_sub(equal.add)?;
            // Every other condition must be about the same number, and hold for this value.
            let same = |one: &Condition| one.at == equal.at && one.size == equal.size;
            let all = path.conditions.iter().all(|one| same(one) && holds(one.code, value + one.add, one.value));
            if !all || !matches!(equal.size, 1 | 4) {
                return None;
            }
            Some(Guard { offset: u16::try_from(*offset).ok()?, size: equal.size, value: u32::try_from(value).ok()? })
        }
    };
    Some(Accessor { offsets, size, guard })
}

/// The effect of one instruction that is no branch.
fn step(path: &mut Path, instruction: &Instruction) -> Option<()> {
    match instruction.mnemonic() {
        Mnemonic::Endbr64 | Mnemonic::Nop => {}
        Mnemonic::Cmp | Mnemonic::Test => {
            let left = operand(path, instruction, 0);
            let right = operand(path, instruction, 1);
            path.compared = Some(Compared { left, right, test: instruction.mnemonic() == Mnemonic::Test });
        }
        Mnemonic::Mov | Mnemonic::Movzx | Mnemonic::Movsxd | Mnemonic::Movsx => {
            let value = operand(path, instruction, 1);
            set(path, instruction, value)?;
        }
        Mnemonic::Lea => {
            let value = match address(path, instruction) {
                #[allow(clippy::cast_possible_wrap, reason = "addresses of files are small")]
                _ if instruction.is_ip_rel_memory_operand() => {
                    Value::Constant(instruction.ip_rel_memory_address() as i64)
                }
                Some((offsets, add)) => Value::Pointer { offsets, add },
                None => number_plus(path, instruction),
            };
            set(path, instruction, value)?;
        }
        Mnemonic::Xor | Mnemonic::Sub if instruction.op0_register() == instruction.op1_register() => {
            path.compared = None;
            set(path, instruction, Value::Constant(0))?;
        }
        Mnemonic::Sub | Mnemonic::Add if instruction.op0_register().full_register() == Register::RSP => {
            path.compared = None
        }
        Mnemonic::Sub | Mnemonic::Add => {
            let by = match operand(path, instruction, 1) {
                Value::Constant(by) if instruction.mnemonic() == Mnemonic::Add => by,
                Value::Constant(by) => -by,
                _ => return None,
            };
            let value = match operand(path, instruction, 0) {
                Value::Number { at, size, add } => Value::Number { at, size, add: add + by },
                _ => Value::Unknown,
            };
            path.compared = None;
            set(path, instruction, value)?;
        }
        Mnemonic::Push | Mnemonic::Pop => {
            if instruction.mnemonic() == Mnemonic::Pop {
                set(path, instruction, Value::Unknown)?;
            }
        }
        // Anything else: what it writes is not known; what it does to memory or flags would not be either.
        _ => {
            if instruction.op0_kind() != OpKind::Register {
                return None;
            }
            path.compared = None;
            set(path, instruction, Value::Unknown)?;
        }
    }
    Some(())
}

fn set(path: &mut Path, instruction: &Instruction, value: Value) -> Option<()> {
    if instruction.op0_kind() != OpKind::Register {
        return None;
    }
    let register = instruction.op0_register();
    let narrow = register.size() < 4;
    *path.registers.get_mut(index(register)?)? = if narrow { Value::Unknown } else { value };
    Some(())
}

/// `[register + displacement]`, when the register leads on from the argument.
fn address(path: &Path, instruction: &Instruction) -> Option<(Vec<i64>, i64)> {
    if instruction.memory_index() != Register::None || instruction.has_segment_prefix() {
        return None;
    }
    #[allow(clippy::cast_possible_wrap, reason = "a displacement is signed")]
    let displacement = instruction.memory_displacement64() as i64;
    match path.registers.get(index(instruction.memory_base())?)? {
        Value::Pointer { offsets, add } => Some((offsets.clone(), add + displacement)),
        _ => None,
    }
}

/// `lea r, [number + constant]`.
fn number_plus(path: &Path, instruction: &Instruction) -> Value {
    #[allow(clippy::cast_possible_wrap, clippy::cast_possible_truncation, reason = "32 bits of a displacement")]
    let by = i64::from(instruction.memory_displacement64() as i32);
    let base = index(instruction.memory_base()).and_then(|i| path.registers.get(i));
    match base {
        Some(Value::Number { at, size, add }) if instruction.memory_index() == Register::None => {
            Value::Number { at: at.clone(), size: *size, add: add + by }
        }
        _ => Value::Unknown,
    }
}

fn operand(path: &Path, instruction: &Instruction, n: u32) -> Value {
    match instruction.op_kind(n) {
        OpKind::Register => {
            let register = instruction.op_register(n);
            let value = index(register).and_then(|i| path.registers.get(i)).cloned().unwrap_or(Value::Unknown);
            match value {
                Value::Number { size, .. } if register.size() < usize::from(size) => Value::Unknown,
                Value::Pointer { .. } if register.size() < 8 => Value::Unknown,
                value => value,
            }
        }
        OpKind::Memory => {
            let Some((mut offsets, add)) = address(path, instruction) else { return Value::Unknown };
            offsets.push(add);
            match instruction.memory_size().size() {
                8 => Value::Pointer { offsets, add: 0 },
                size @ (1 | 2 | 4) => Value::Number { at: offsets, size: u8::try_from(size).unwrap_or(0), add: 0 },
                _ => Value::Unknown,
            }
        }
        OpKind::Immediate8
        | OpKind::Immediate16
        | OpKind::Immediate32
        | OpKind::Immediate8to32
        | OpKind::Immediate32to64
        | OpKind::Immediate8to64
        | OpKind::Immediate8to16 =>
        {
            #[allow(clippy::cast_possible_wrap, reason = "an immediate is signed")]
            Value::Constant(instruction.immediate(n) as i64)
        }
        _ => Value::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn simple(offsets: &[u16], size: u8) -> Accessor {
        Accessor { offsets: offsets.to_vec(), size, guard: None }
    }

    #[test]
    fn accessors_of_openssl_3_0_as_debian_builds_it() {
        // mov (%rdi),%eax; xor %edi,%edi; ret
        assert_eq!(decode(&[0x8b, 0x07, 0x31, 0xff, 0xc3], 0x37b70), Some(simple(&[0], 4)));
        // mov 0x918(%rdi),%rax; test %rax,%rax; je +7; mov 0x2f8(%rax),%rax; xor %edi,%edi; ret
        let code = [
            0x48, 0x8b, 0x87, 0x18, 0x09, 0, 0, 0x48, 0x85, 0xc0, 0x74, 0x07, 0x48, 0x8b, 0x80, 0xf8, 0x02, 0, 0, 0x31,
            0xff, 0xc3,
        ];
        let cipher = decode(&code, 0x37990).expect("decodes");
        assert_eq!(cipher, simple(&[0x918, 0x2f8], 8));
        // movzwl 0x18(%rdi),%eax; xor %edi,%edi; ret
        let id = decode(&[0x0f, 0xb7, 0x47, 0x18, 0x31, 0xff, 0xc3], 0).expect("decodes");
        assert_eq!(join(cipher, &id), Some(simple(&[0x918, 0x2f8, 0x18], 2)));
    }

    #[test]
    fn a_kind_of_object_becomes_a_guard() {
        // endbr64; test %rdi,%rdi; je 1f; mov (%rdi),%eax; lea -0x80(%rax),%edx; cmp $1,%edx; jbe 1f; test %eax,%eax; jne 1f;
        // mov 0x40(%rdi),%eax; ret; 1: xor %eax,%eax; ret
        let code = [
            0xf3, 0x0f, 0x1e, 0xfa, 0x48, 0x85, 0xff, 0x74, 0x12, 0x8b, 0x07, 0x8d, 0x50, 0x80, 0x83, 0xfa, 0x01, 0x76,
            0x08, 0x85, 0xc0, 0x75, 0x04, 0x8b, 0x47, 0x40, 0xc3, 0x31, 0xc0, 0xc3,
        ];
        let guard = Some(Guard { offset: 0, size: 4, value: 0 });
        assert_eq!(decode(&code, 0x1000), Some(Accessor { offsets: vec![0x40], size: 4, guard }));
    }

    #[test]
    fn a_function_that_tells_a_version() {
        // endbr64; test %rdi,%rdi; je 1f; call; 1: lea 0x10(%rip),%rax; ret
        let code = [
            0xf3, 0x0f, 0x1e, 0xfa, 0x48, 0x85, 0xff, 0x74, 0x05, 0xe8, 0, 0, 0, 0, 0x48, 0x8d, 0x05, 0x10, 0, 0, 0,
            0xc3,
        ];
        assert_eq!(decode_address(&code, 0x1000), Some(0x1000 + 21 + 0x10));
        assert_eq!(decode_address(&[0xc3], 0), None);
    }

    #[test]
    fn what_is_not_certain_is_not_told() {
        // call +0; ret
        assert_eq!(decode(&[0xe8, 0, 0, 0, 0, 0xc3], 0), None);
        // mov (%rdi,%rsi,4),%eax; ret
        assert_eq!(decode(&[0x8b, 0x04, 0xb7, 0xc3], 0), None);
        // cmpb $0,0x10(%rdi); jne 1f; mov 4(%rdi),%eax; ret; 1: mov 8(%rdi),%eax; ret: which one depends, and both are near
        let code = [0x80, 0x7f, 0x10, 0x00, 0x75, 0x04, 0x8b, 0x47, 0x04, 0xc3, 0x8b, 0x47, 0x08, 0xc3];
        assert_eq!(decode(&code, 0).map(|accessor| accessor.guard.is_some()), Some(true));
        // A loop.
        assert_eq!(decode(&[0xeb, 0xfe], 0), None);
        assert_eq!(decode(&[], 0), None);
    }
}
