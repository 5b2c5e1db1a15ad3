//! Arithmetic of the grammar: operators with libpcap's precedence, packet bytes, comparisons.

use super::ast::{Arith, Compare, Expr, Operator, Primitive};
use super::lexer::Token;
use super::names::Keyword;
use super::parser::{Parsed, Parser};

/// Most operators in one comparison; chosen: keeps the tree of a long sum as low as the nesting.
const OPERATORS: usize = 200;

impl Parser<'_> {
    /// Whether arithmetic begins here with something else than a number or a parenthesis.
    pub(super) fn begins_arith(&self) -> bool {
        match self.peek() {
            Some(Token::Symbol('-') | Token::Keyword(Keyword::Len)) => true,
            Some(Token::Keyword(Keyword::Proto(_))) => {
                self.peek_second() == Some(&Token::Symbol('['))
            }
            _ => false,
        }
    }

    pub(super) fn continues_arith(&self) -> bool {
        self.operator().is_some() || self.relation_operator().is_some()
    }

    pub(super) fn relation(&mut self, left: Arith, start: usize) -> Parsed<Expr> {
        let Some((compare, negated)) = self.relation_operator() else {
            return Err(self.not_compared());
        };
        self.bump();
        let right = self.arith()?;
        let relation = Primitive::Relation {
            compare,
            negated,
            left,
            right,
        };
        Ok(Expr::Leaf(relation, self.since(start)))
    }

    pub(super) fn relation_operator(&self) -> Option<(Compare, bool)> {
        let Some(Token::Symbol(symbol)) = self.peek() else {
            return None;
        };
        match symbol {
            '=' => Some((Compare::Equal, false)),
            'n' => Some((Compare::Equal, true)),
            '>' => Some((Compare::Greater, false)),
            'l' => Some((Compare::Greater, true)),
            'g' => Some((Compare::GreaterOrEqual, false)),
            '<' => Some((Compare::GreaterOrEqual, true)),
            _ => None,
        }
    }

    fn operator(&self) -> Option<Operator> {
        let Some(Token::Symbol(symbol)) = self.peek() else {
            return None;
        };
        match symbol {
            '+' => Some(Operator::Add),
            '-' => Some(Operator::Sub),
            '*' => Some(Operator::Mul),
            '/' => Some(Operator::Div),
            '%' => Some(Operator::Mod),
            '&' => Some(Operator::And),
            '|' => Some(Operator::Or),
            '^' => Some(Operator::Xor),
            'L' => Some(Operator::ShiftLeft),
            'R' => Some(Operator::ShiftRight),
            _ => None,
        }
    }

    pub(super) fn arith(&mut self) -> Parsed<Arith> {
        let start = self.mark();
        let first = self.arith_primary()?;
        self.arith_from(first, start, None)
    }

    /// Goes on after `left` as long as the operators bind tighter than `before`, the one to its left.
    pub(super) fn arith_from(
        &mut self,
        mut left: Arith,
        start: usize,
        before: Option<Operator>,
    ) -> Parsed<Arith> {
        while let Some(operator) = self.operator().filter(|o| binds_tighter(before, *o)) {
            self.bump();
            self.enter()?;
            let right_start = self.mark();
            let first = self.arith_primary()?;
            let right = self.arith_from(first, right_start, Some(operator))?;
            self.leave();
            self.operators += 1;
            if self.operators > OPERATORS {
                return Err(self.too_deep());
            }
            let at = self.since(start);
            left = Arith::Binary {
                operator,
                left: Box::new(left),
                right: Box::new(right),
                at,
            };
        }
        Ok(left)
    }

    fn arith_primary(&mut self) -> Parsed<Arith> {
        let start = self.mark();
        match self.peek().cloned() {
            Some(Token::Number(n)) => {
                self.bump();
                Ok(Arith::Number(n))
            }
            Some(Token::Keyword(Keyword::Len)) => {
                self.bump();
                Ok(Arith::Length)
            }
            Some(Token::Symbol('-')) => {
                self.bump();
                self.enter()?;
                let first_start = self.mark();
                let first = self.arith_primary()?;
                let operand = match self.operator() {
                    // No precedence is declared for these two, so that they are read on.
                    Some(Operator::Mod | Operator::Xor) => {
                        self.arith_unary_operand(first, first_start)?
                    }
                    _ => first,
                };
                self.leave();
                Ok(Arith::Negate(Box::new(operand)))
            }
            Some(Token::Symbol('(')) => {
                self.enter()?;
                self.bump();
                let inner = self.arith()?;
                if !self.take_symbol(')') {
                    return Err(self.unexpected("`)`"));
                }
                self.leave();
                Ok(inner)
            }
            Some(Token::Keyword(Keyword::Proto(proto))) => {
                self.bump();
                if !self.take_symbol('[') {
                    return Err(self.unexpected("`[` and an offset"));
                }
                self.enter()?;
                let index = Box::new(self.arith()?);
                let size = if self.take_symbol(':') {
                    self.number("1, 2 or 4")?
                } else {
                    1
                };
                if !self.take_symbol(']') {
                    return Err(self.unexpected("`]`"));
                }
                self.leave();
                Ok(Arith::Load {
                    proto,
                    index,
                    size,
                    at: self.since(start),
                })
            }
            Some(Token::Name(name)) if name.contains('-') => {
                Err(self.unexpected("a number (write spaces around a minus)"))
            }
            _ => Err(self.unexpected("a number, `len` or a packet byte such as `tcp[13]`")),
        }
    }

    /// `-a % b` is `-(a % b)`, and what follows goes on inside, for `%` and `^` never end an operand.
    fn arith_unary_operand(&mut self, first: Arith, start: usize) -> Parsed<Arith> {
        let mut left = first;
        while let Some(operator @ (Operator::Mod | Operator::Xor)) = self.operator() {
            self.bump();
            let right_start = self.mark();
            let primary = self.arith_primary()?;
            let right = self.arith_from(primary, right_start, Some(operator))?;
            let at = self.since(start);
            left = Arith::Binary {
                operator,
                left: Box::new(left),
                right: Box::new(right),
                at,
            };
        }
        Ok(left)
    }
}

/// Whether an operator goes on with the operand to its left although `before` stands before that.
/// libpcap's grammar gives `%` and `^` no precedence, which makes them always read on.
fn binds_tighter(before: Option<Operator>, operator: Operator) -> bool {
    match (before.and_then(precedence), precedence(operator)) {
        (Some(left), Some(right)) => right > left,
        _ => true,
    }
}

fn precedence(operator: Operator) -> Option<u8> {
    match operator {
        Operator::Or => Some(1),
        Operator::And => Some(2),
        Operator::ShiftLeft | Operator::ShiftRight => Some(3),
        Operator::Add | Operator::Sub => Some(4),
        Operator::Mul | Operator::Div => Some(5),
        Operator::Mod | Operator::Xor => None,
    }
}
