"""Which settings the migration module of a build knows: asked of the module, by starting an agent with them."""
import pathlib

from lab.agent import Agent

POLICY = "version = 1\n"


def refusal(folder, build, settings):
    """Why an agent on the simulated hypervisor does not start with these settings; None if it does."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    policy = folder / "policy.toml"
    policy.write_text(POLICY)
    agent = Agent("probe", folder, build)
    agent.configure({
        "host": {"name": "probe", "state": str(agent.state), "run": str(folder / "run"), "control": str(agent.socket),
                 "policy": str(policy), "plugin_path": [str(agent.programs.plugins)], "module_path": [str(agent.programs.modules)],
                 "modules": ["migration"], "trust": str(agent.programs.trust)},
        "backend": {"plugin": "sim", "uri": "sim:probe"},
        "module.migration": {"attestation": "none", **settings}})
    try:
        agent.start()
    except RuntimeError as failure:
        return next((line for line in str(failure).splitlines()[1:] if next(iter(settings)) in line), str(failure))
    finally:
        agent.stop()
    return None


class Settings:
    """Answers for each way what to tell the module, or why it is not there. Each setting is tried once."""

    def __init__(self, folder, build):
        self.folder, self.build, self.known = pathlib.Path(folder), build, {}

    def _refusal(self, setting, value):
        if (setting, value) not in self.known:
            self.known[setting, value] = refusal(self.folder / f"probe-{len(self.known)}", self.build, {setting: value})
        return self.known[setting, value]

    def of(self, way):
        """({setting: value}, None), or (None, reason). A default that the module has no setting for needs none."""
        told = {}
        for setting, value in way.settings().items() if way.cipher != "none" or way.record_size else []:
            reason = self._refusal(setting, value)
            if reason is None:
                told[setting] = value
            elif not way.is_default(setting):
                return None, f"{setting} = \"{value}\": {reason}"
        return told, None
