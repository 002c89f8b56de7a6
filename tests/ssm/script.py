"""The Python of an aws:executeScript step, read and not run."""
import ast

from values import VARIABLE

NEEDED = {"Runtime", "Handler", "Script"}


def faults(inputs):
    """What is wrong with the inputs of a script's step, each with its remedy."""
    for name in sorted(NEEDED - set(inputs)):
        yield f"lacks {name}; add it"
    text, handler, payload = inputs.get("Script", ""), inputs.get("Handler"), inputs.get("InputPayload") or {}
    if inputs.get("Runtime") != "python3.11":
        yield "has another Runtime than python3.11; write that"
    if VARIABLE.search(text):
        yield "has {{ }} within Script, where a value becomes code; hand it over in InputPayload"
        return
    if not VARIABLE.search(text) and "{{" in text.replace("\\{", ""):
        yield "has {{ within Script, which Automation takes for a variable; write it in another way"
    try:
        tree = ast.parse(text)
    except SyntaxError as wrong:
        yield f"has Python that does not compile, in line {wrong.lineno}: {wrong.msg}"
        return
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    if handler not in functions:
        yield f"has the Handler {handler}, which its Script does not define; define it"
        return
    arguments = [argument.arg for argument in functions[handler].args.args]
    if len(arguments) != 2:
        yield f"has a Handler that takes {len(arguments)} arguments; it is given the payload and a context"
        return
    read = set(keys_read(functions[handler], arguments[0]))
    for key in sorted(read - set(payload)):
        yield f"reads {arguments[0]}[{key!r}], which is not in InputPayload; add it"
    handed_on = any(isinstance(node, ast.Name) and node.id == arguments[0] for node in ast.walk(functions[handler])
                    if not isinstance(node, ast.Subscript)) and not read
    for key in sorted(set(payload) - read):
        if not handed_on:
            yield f"hands over {key}, which the Handler does not read; remove it"


def keys_read(function, name):
    for node in ast.walk(function):
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == name:
            if isinstance(node.slice, ast.Constant):
                yield node.slice.value
        called = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get"
        if called and isinstance(node.func.value, ast.Name) and node.func.value.id == name and node.args:
            yield node.args[0].value
