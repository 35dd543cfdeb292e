# shellcheck shell=sh
# Asks a health check until it passes: at most 3 s and so many times, one process of the engine for many questions.
# The check is in a variable and not on this command line, so that a check which looks for processes finds no other.
# Exit: 0 = it passed in its time, 1 = it did not. Says how often it asked.
check=$REHEARSAL_CHECK limit=$REHEARSAL_LIMIT times=$REHEARSAL_TIMES since=$REHEARSAL_SINCE growth=$REHEARSAL_GROWTH
unset REHEARSAL_CHECK REHEARSAL_LIMIT REHEARSAL_TIMES REHEARSAL_SINCE REHEARSAL_GROWTH
read -r now _ </proc/uptime || exit 2
begun=${now%.*}${now#*.}
count=0
while :; do
    read -r now _ </proc/uptime
    asked=${now%.*}${now#*.}
    passed=yes
    eval "$check" </dev/null >/dev/null 2>&1 || passed=no
    read -r now _ </proc/uptime
    now=${now%.*}${now#*.}
    took=$((now - asked))
    count=$((count + 1))
    [ $passed = yes ] && [ $took -le "$limit" ] && echo $count && exit 0
    # Centiseconds: often, but never so often that asking is all the container does, and seldomer as time goes by.
    pause=$took
    [ $took -lt 7 ] && pause=7
    [ $took -gt 20 ] && pause=$((took * 2))
    least=$(((since + now - begun) * growth / 100))
    [ $pause -lt $least ] && pause=$least
    if [ $count -ge "$times" ] || [ $((now - begun + pause)) -ge 300 ]; then
        echo $count
        exit 1
    fi
    case $pause in
    ?) sleep 0.0$pause || sleep 1 ;;
    ??) sleep 0.$pause || sleep 1 ;;
    *) sleep $((pause / 100)) ;;
    esac
done
