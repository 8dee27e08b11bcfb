# bash completion for netmirror(1). The flags and the command are the
# program's own: it names them where both variables are set.
_netmirror() {
	local cur=${COMP_WORDS[COMP_CWORD]} flag=${COMP_WORDS[COMP_CWORD-1]} words
	# Of --flag=value readline makes three words.
	if [[ $cur == = ]]; then
		cur=
	elif [[ $flag == = ]]; then
		flag=${COMP_WORDS[COMP_CWORD-2]}
	fi
	case $flag in
	-i | --iface)
		words="any $(ls /sys/class/net 2>/dev/null)"
		;;
	--config | --http)
		compopt -o default # file names
		return
		;;
	--*) # the help has the choices of those that have some: --on-gap=WHAT[reset|splice]
		words=$("${COMP_WORDS[0]}" --help 2>/dev/null | sed -n "s/^ *$flag=[A-Z]*\[\([a-z|-]*\)\].*/\1/p" | tr '|' ' ')
		;;
	esac
	if [[ -z $words ]]; then
		words=$(NETMIRROR_COMPLETION=1 GO_FLAGS_COMPLETION=1 "${COMP_WORDS[0]}" "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
	fi
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
} && complete -F _netmirror netmirror
